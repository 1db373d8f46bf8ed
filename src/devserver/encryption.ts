/**
 * Encrypted libraries as seaf-server keeps them (common/seafile-crypt.c): the key schedule of versions 2, 3 and 4, the words
 * that a library carries about its password, and blocks as they are stored. Invariants: neither password nor file key is ever
 * written; one library has one file key, whoever unlocks it, and one IV for all its blocks. Called by store.ts and file-content.ts.
 */
import { createCipheriv, createDecipheriv, pbkdf2Sync, randomBytes } from "node:crypto";

export type EncryptionVersion = 2 | 3 | 4;

/** What the API shows of an encrypted library. All but the version is hex. */
export interface EncryptionRecord {
  readonly version: EncryptionVersion;
  /** 32 bytes from version 3 on, else "". */
  readonly salt: string;
  /** 32 bytes that tell a right password. */
  readonly magic: string;
  /** 48 bytes: the library's secret under the password. */
  readonly randomKey: string;
}

/** What blocks are encrypted with. */
export interface FileKey {
  readonly version: EncryptionVersion;
  readonly key: Buffer;
  readonly iv: Buffer;
}

/** The salt of all libraries of version 2. */
const FIXED_SALT = Buffer.from("da9045c306c7cc26", "hex");
const SECRET_BYTES = 32;

function derive(secret: Buffer, version: EncryptionVersion, salt: string): FileKey {
  const saltBytes = version === 2 ? FIXED_SALT : Buffer.from(salt, "hex");
  const key = pbkdf2Sync(secret, saltBytes, 1000, 32, "sha256");
  return { version, key, iv: pbkdf2Sync(key, saltBytes, 10, 16, "sha256") };
}

export function encryptBlock(plain: Uint8Array, { version, key, iv }: FileKey): Buffer {
  const cipher =
    version === 3 ? createCipheriv("aes-128-ecb", key.subarray(0, 16), null) : createCipheriv("aes-256-cbc", key, iv);
  return Buffer.concat([cipher.update(plain), cipher.final()]);
}

/** Throws when the block was not encrypted with this key. */
export function decryptBlock(stored: Uint8Array, { version, key, iv }: FileKey): Buffer {
  const cipher =
    version === 3
      ? createDecipheriv("aes-128-ecb", key.subarray(0, 16), null)
      : createDecipheriv("aes-256-cbc", key, iv);
  return Buffer.concat([cipher.update(stored), cipher.final()]);
}

/** What a new library carries, whose password is this. */
export function newEncryption(libraryId: string, password: string, version: EncryptionVersion): EncryptionRecord {
  const salt = version === 2 ? "" : randomBytes(32).toString("hex");
  const underPassword = derive(Buffer.from(password), version, salt);
  const randomKey = encryptBlock(randomBytes(SECRET_BYTES), underPassword).toString("hex");
  return { version, salt, magic: magicOf(libraryId, password, version, salt), randomKey };
}

function magicOf(libraryId: string, password: string, version: EncryptionVersion, salt: string): string {
  return derive(Buffer.from(libraryId + password), version, salt).key.toString("hex");
}

/** The same secret under another password (reencrypt_random_key); undefined when the old one is wrong. */
export function changedPassword(
  libraryId: string,
  passwords: { readonly old: string; readonly new: string },
  record: EncryptionRecord,
): EncryptionRecord | undefined {
  const { version, salt, magic, randomKey } = record;
  if (magicOf(libraryId, passwords.old, version, salt) !== magic) return undefined;
  const secret = decryptBlock(Buffer.from(randomKey, "hex"), derive(Buffer.from(passwords.old), version, salt));
  const changed = encryptBlock(secret, derive(Buffer.from(passwords.new), version, salt)).toString("hex");
  return { version, salt, magic: magicOf(libraryId, passwords.new, version, salt), randomKey: changed };
}

/** The library's file key; undefined when the password is wrong. */
export function fileKeyOf(libraryId: string, password: string, record: EncryptionRecord): FileKey | undefined {
  const { version, salt, magic, randomKey } = record;
  if (magicOf(libraryId, password, version, salt) !== magic) return undefined;
  const secret = decryptBlock(Buffer.from(randomKey, "hex"), derive(Buffer.from(password), version, salt));
  return derive(secret, version, salt);
}
