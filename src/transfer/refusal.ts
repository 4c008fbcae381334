/** What cannot be imported or exported as it is, and will not be when tried again: a person has to change something. */
export class Refusal extends Error {}
