// A classic script in the head, so that the chosen theme applies before the first paint.
(() => {
  try {
    const theme = localStorage.getItem("sensorwatch-theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch {
    // Without local storage the theme follows the system.
  }
})();
