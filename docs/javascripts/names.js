// Names for parts of the page that the theme leaves without one, for screen readers.
document$.subscribe(function () {
  document.querySelector(".md-search").setAttribute("aria-label", "Search");
  document.querySelectorAll(".md-code__nav").forEach(function (found, number) {
    found.setAttribute("aria-label", "Code " + (number + 1));
  });
});
