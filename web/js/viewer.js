/** Who looks at it, and whether they may act. */
let who = { name: "", roles: ["read"] };

/** Keep what `/api/me` says. */
export function setViewer(me) {
  who = me;
}

/** The viewer: `name` and `roles`. */
export const viewer = () => who;

/** Whether the viewer may change something. The server decides; buttons only follow. */
export const mayAct = () => who.roles.includes("operator");
