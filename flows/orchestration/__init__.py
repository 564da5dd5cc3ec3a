"""Where runs happen: in this process or on Prefect, with its deployments, forms, artifacts and
events; and `serve`.
"""
