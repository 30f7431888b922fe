import { shared } from "./shared.js";

export const run = () => shared("lazy");
