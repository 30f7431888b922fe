import "./app.css";
import { shared } from "./shared.js";
import logo from "./logo.svg";

document.body.append(shared(logo));
import("./lazy.js").then((lazy) => lazy.run());
