document.title = "site";
//# sourceMappingURL=site.js.9eee23d82f5c.map
