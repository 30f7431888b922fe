import { shared } from "../shared.js";

document.title = shared("admin");
