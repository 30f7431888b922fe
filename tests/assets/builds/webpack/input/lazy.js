export const run = () => document.body.append("lazy");
