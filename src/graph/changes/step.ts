/** Steps of a change of the graph. */

/** A step of `prepare`; what was done before is taken back by the function that it answers. */
export type ChangeStep = () => Undo | Promise<Undo>;
/** Takes a step back; it must not fail. */
export type Undo = () => void | Promise<void>;
