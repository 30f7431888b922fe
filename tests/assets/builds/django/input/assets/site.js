document.title = "site";
//# sourceMappingURL=site.js.map
