// Stands for @litertjs/core's glue, which comes when the page is deployed and has no types.
declare const factory: (options: object) => Promise<any>;
export default factory;
