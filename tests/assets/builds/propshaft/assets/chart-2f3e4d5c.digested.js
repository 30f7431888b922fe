document.title = "chart";
