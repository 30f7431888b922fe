//! Keys that are none: too short, without entropy, published, or broken.

use data_encoding::BASE64URL_NOPAD;

use crate::algorithm::Algorithm;

/// Why a key is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Weakness {
    ShortSecret,
    NoEntropy,
    Published,
    ShortModulus,
    LongModulus,
    Exponent,
    Roca,
    Point,
}

/// Secrets that stand in documentation, and are long enough to pass otherwise.
const PUBLISHED: [&str; 8] = [
    "a-string-secret-at-least-256-bits-long",
    "a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long",
    "your-256-bit-secret-your-256-bit-secret",
    "super-secret-key-that-should-be-changed-in-production",
    "this-is-a-very-long-secret-key-for-jwt-signing",
    "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7", // FastAPI's tutorial
    "404E635266556A586E3272357538782F413F4428472B4B6250645367566B5970", // Spring tutorials
    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow", // RFC 7515
];

/// A secret of random bytes has many different ones; 32 bytes of hexadecimal text have about 14.
const FEWEST_DIFFERENT: usize = 8;
/// What NIST SP 800-131A still allows, and what a signature may cost to check.
const MODULUS_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// What is wrong with a secret of this algorithm.
pub(crate) fn of_secret(algorithm: Algorithm, secret: &[u8]) -> Option<Weakness> {
    let mut seen = [false; 256];
    secret.iter().for_each(|byte| seen[usize::from(*byte)] = true);
    let published = |known: &&str| {
        secret == known.as_bytes() || BASE64URL_NOPAD.decode(known.as_bytes()).is_ok_and(|bytes| bytes == secret)
    };
    match () {
        () if secret.len() < algorithm.least_secret() => Some(Weakness::ShortSecret),
        () if seen.iter().filter(|seen| **seen).count() < FEWEST_DIFFERENT => Some(Weakness::NoEntropy),
        () if PUBLISHED.iter().any(published) => Some(Weakness::Published),
        () => None,
    }
}

/// What is wrong with an RSA key of this modulus and exponent (big-endian).
pub(crate) fn of_rsa(modulus: &[u8], exponent: &[u8]) -> Option<Weakness> {
    let modulus = trimmed(modulus);
    let bits = modulus.len() * 8 - modulus.first().map_or(0, |first| first.leading_zeros() as usize);
    match () {
        () if bits < *MODULUS_BITS.start() => Some(Weakness::ShortModulus),
        () if bits > *MODULUS_BITS.end() => Some(Weakness::LongModulus),
        () if !is_exponent(trimmed(exponent)) => Some(Weakness::Exponent),
        () if modulus.last().is_some_and(|last| last % 2 == 0) => Some(Weakness::ShortModulus),
        () if is_roca(modulus) => Some(Weakness::Roca),
        () => None,
    }
}

/// What is wrong with a point of this curve; whether it lies on the curve is checked with each signature.
pub(crate) fn of_point(coordinate: &[u8], length: usize) -> Option<Weakness> {
    let fits = coordinate.len() == length && coordinate.iter().any(|byte| *byte != 0);
    (!fits).then_some(Weakness::Point)
}

// === impl Weakness ===

impl Weakness {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::ShortSecret => "a secret that is shorter than the hash (RFC 7518 §3.2)",
            Self::NoEntropy => "a secret that is hardly random",
            Self::Published => "a secret that stands in documentation",
            Self::ShortModulus => "an RSA key of less than 2048 bits",
            Self::LongModulus => "an RSA key of more than 8192 bits",
            Self::Exponent => "an RSA key with a public exponent that is 1, even, or beyond 33 bits",
            Self::Roca => "an RSA key that has the fingerprint of CVE-2017-15361 (ROCA)",
            Self::Point => "a point that is not of its curve",
        }
    }
}

fn trimmed(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}

fn is_exponent(exponent: &[u8]) -> bool {
    let value = exponent.iter().fold(0_u64, |value, byte| (value << 8) | u64::from(*byte));
    exponent.len() <= 5 && value % 2 == 1 && value > 1 && value < 1 << 33
}

/// Keys of a faulty library are powers of 65537 modulo each small prime (Nemec et al., CCS 2017); a sound key is that for all of
/// these by a chance of less than 2^-27.
fn is_roca(modulus: &[u8]) -> bool {
    const PRIMES: [u32; 17] = [11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157];
    PRIMES.iter().all(|prime| {
        let rest = modulus.iter().fold(0, |rest, byte| (rest * 256 + u32::from(*byte)) % prime);
        let mut power = 1;
        (0..*prime).any(|_| {
            power = power * 65537 % prime;
            power == rest
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_secrets_are_refused() {
        let random: Vec<u8> = (0..64_u8).map(|n| n.wrapping_mul(37) ^ 0x5a).collect();
        for (algorithm, secret, expected) in [
            (Algorithm::HS256, &random[..32], None),
            (Algorithm::HS256, &random[..31], Some(Weakness::ShortSecret)),
            (Algorithm::HS384, &random[..47], Some(Weakness::ShortSecret)),
            (Algorithm::HS512, &random[..63], Some(Weakness::ShortSecret)),
            (Algorithm::HS512, &random[..64], None),
            (Algorithm::HS256, b"", Some(Weakness::ShortSecret)),
            (Algorithm::HS256, &[b'a'; 32], Some(Weakness::NoEntropy)),
            (Algorithm::HS256, b"abababababababababababababababab", Some(Weakness::NoEntropy)),
            (Algorithm::HS256, b"a-string-secret-at-least-256-bits-long", Some(Weakness::Published)),
        ] {
            assert_eq!(of_secret(algorithm, secret), expected, "{algorithm} {}", secret.len());
        }
    }

    #[test]
    fn weak_rsa_keys_are_refused() {
        let odd = |bytes: usize| {
            let mut modulus: Vec<u8> = (0..bytes).map(|n| (n * 89 + 7) as u8 | 0x80).collect();
            modulus[bytes - 1] |= 1;
            modulus
        };
        for (modulus, exponent, expected) in [
            (odd(256), &[1, 0, 1][..], None),
            (odd(256), &[0, 3][..], None),
            (odd(128), &[1, 0, 1], Some(Weakness::ShortModulus)),
            (odd(1025), &[1, 0, 1], Some(Weakness::LongModulus)),
            (odd(256), &[1], Some(Weakness::Exponent)),
            (odd(256), &[], Some(Weakness::Exponent)),
            (odd(256), &[4], Some(Weakness::Exponent)),
            (odd(256), &[1; 9], Some(Weakness::Exponent)),
        ] {
            assert_eq!(of_rsa(&modulus, exponent), expected, "{} bytes, {exponent:?}", modulus.len());
        }
    }

    #[test]
    fn the_fingerprint_of_roca_is_known() {
        // 65537^n modulo all of the primes at once: what the faulty library made.
        let product: u128 =
            [11_u128, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157].iter().product();
        let power = (0..1000).fold(1_u128, |power, _| power * 65537 % product);
        assert!(is_roca(&power.to_be_bytes()));
        assert!(!is_roca(&(power + 2).to_be_bytes()));
    }
}
