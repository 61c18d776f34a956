// Runs before the first paint, so that a chosen theme does not flash. The button itself is wired in demo.js.
const chosen = localStorage.getItem("portcullis-theme");
if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
