// A classic script in the head: the chosen theme holds before anything is painted.
(() => {
  try {
    const theme = localStorage.getItem("sensorwatch-theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch {
    // Storage that is switched off leaves the system's theme.
  }
})();
