/** The signed-in person and their permissions. */
let who = { name: "", roles: ["read"] };

/** Keep the response of `/api/me`. */
export function setViewer(me) {
  who = me;
}

/** Return the viewer: `name` and `roles`. */
export const viewer = () => who;

/** Return true if the viewer may act. The server enforces it; here it only hides buttons. */
export const mayAct = () => who.roles.includes("operator");
