/**
 * The file key of an encrypted library, made on this machine from the password and what the server keeps about it, and blocks
 * encrypted with it (seafile-server: common/seafile-crypt.c, versions 2 to 4). Used to know the ids that the server gives to
 * content. Invariant: keys and passwords stay in memory. Called by unlocker.ts and object-id.ts.
 */
import { createCipheriv, createDecipheriv, pbkdf2Sync } from "node:crypto";

/** What the server tells of an encrypted library. All but the version is hex. */
export interface KeyMaterial {
  readonly version: number;
  /** "" in version 2. */
  readonly salt: string;
  /** 48 bytes: the library's secret under the password. */
  readonly randomKey: string;
}

export interface FileKey {
  readonly algorithm: "aes-256-cbc" | "aes-128-ecb";
  readonly key: Buffer;
  /** null: the algorithm has none. */
  readonly iv: Buffer | null;
}

/** The salt of all libraries of version 2. */
const FIXED_SALT = Buffer.from("da9045c306c7cc26", "hex");

function derive(secret: Buffer, { version, salt }: KeyMaterial): FileKey {
  const saltBytes = version === 2 ? FIXED_SALT : Buffer.from(salt, "hex");
  const key = pbkdf2Sync(secret, saltBytes, 1000, 32, "sha256");
  if (version === 3) return { algorithm: "aes-128-ecb", key: key.subarray(0, 16), iv: null };
  return { algorithm: "aes-256-cbc", key, iv: pbkdf2Sync(key, saltBytes, 10, 16, "sha256") };
}

/** undefined: a version that is not known here, or the password is another. */
export function fileKeyOf(password: string, material: KeyMaterial): FileKey | undefined {
  if (![2, 3, 4].includes(material.version)) return undefined;
  const { algorithm, key, iv } = derive(Buffer.from(password), material);
  try {
    const decipher = createDecipheriv(algorithm, key, iv);
    return derive(Buffer.concat([decipher.update(material.randomKey, "hex"), decipher.final()]), material);
  } catch {
    return undefined;
  }
}

const CIPHER_BLOCK = 16;
const EMPTY = Buffer.alloc(0);

/** One stored block as its bytes come in, of which a copy can be made at any time. */
export class BlockCipher {
  readonly #key: FileKey;
  #iv: Buffer | null;
  /** Less than a cipher block. */
  #rest: Buffer = EMPTY;

  constructor(key: FileKey, from?: BlockCipher) {
    this.#key = key;
    this.#iv = from === undefined ? key.iv : from.#iv;
    this.#rest = from === undefined ? EMPTY : from.#rest;
  }

  copy(): BlockCipher {
    return new BlockCipher(this.#key, this);
  }

  update(bytes: Uint8Array): Buffer {
    const input = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    const whole = input.length - (input.length % CIPHER_BLOCK);
    this.#rest = Buffer.from(input.subarray(whole));
    if (whole === 0) return EMPTY;
    const cipher = createCipheriv(this.#key.algorithm, this.#key.key, this.#iv).setAutoPadding(false);
    const output = cipher.update(input.subarray(0, whole));
    cipher.final();
    // CBC goes on from the last block of its output, so no state of the cipher itself has to be kept.
    if (this.#iv !== null) this.#iv = output.subarray(-CIPHER_BLOCK);
    return output;
  }

  /** The rest, padded (PKCS #7). */
  final(): Buffer {
    const cipher = createCipheriv(this.#key.algorithm, this.#key.key, this.#iv);
    return Buffer.concat([cipher.update(this.#rest), cipher.final()]);
  }
}
