/**
 * Nominal types for strings and numbers that must not be mixed up (a library id is not a commit id).
 * The brand exists for the compiler only; at run time the value is a plain string or number.
 */
declare const brand: unique symbol;

export type Brand<T, Name extends string> = T & { readonly [brand]: Name };
