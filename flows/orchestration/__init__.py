"""Where runs execute: in this process or on Prefect (flows, tasks, deployments, forms, artifacts
and events), and the scheduler behind `nightglass serve`.
"""
