import "./main.css";
import logo from "./logo.svg";

document.body.append(logo);
import("./lazy.js").then((lazy) => lazy.run());
