document.title = "before";
