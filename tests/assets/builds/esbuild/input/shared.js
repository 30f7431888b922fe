export const shared = (what) => `shared ${what}`;
