console.log("how to build");
