/**
 * Decodes base64url without padding. Null unless `text` is the one canonical spelling of its
 * bytes: padding, foreign characters and stray last bits (RFC 4648, section 3.5) would give one
 * value many names.
 */
export function decodeBase64url(text: string): Buffer | null {
  const bytes = Buffer.from(text, 'base64url')
  return bytes.toString('base64url') === text ? bytes : null
}
