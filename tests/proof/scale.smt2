; Random numbers below a bound by multiplication: ipalloc/base/hooks.c (hooks_random_below) and
; ipalloc/core/bitmap.c with what it includes. Integers, for all 64-bit values.

(set-logic QF_NIA)
(define-fun two32 () Int 4294967296)
(define-fun two64 () Int 18446744073709551616)
(define-fun u64 ((x Int)) Bool (and (<= 0 x) (< x two64)))

; the high half and the low half of random * bound: draw in bitmap_private.h
(define-fun high ((random Int) (bound Int)) Int (div (* random bound) two64))
(define-fun low ((random Int) (bound Int)) Int (mod (* random bound) two64))
; -bound % bound, which decides what hooks_random_below draws again
(define-fun threshold ((bound Int)) Int (mod (- two64 bound) bound))

; proved: the high half is below the bound
(declare-const random Int)
(declare-const bound Int)
(assert (and (u64 random) (u64 bound) (> bound 0)))
(assert (not (and (<= 0 (high random bound)) (< (high random bound) bound))))

; refuted: it is below the bound less one
(declare-const random Int)
(declare-const bound Int)
(assert (and (u64 random) (u64 bound) (> bound 1)))
(assert (not (< (high random bound) (- bound 1))))

; proved: every number below the bound is drawn by some random number
(declare-const bound Int)
(declare-const wanted Int)
(declare-const random Int)
(assert (and (u64 bound) (> bound 0) (<= 0 wanted) (< wanted bound)))
; the smallest random number with random * bound >= wanted * 2^64
(assert (and (>= (* random bound) (* wanted two64))
             (< (* (- random 1) bound) (* wanted two64))))
(assert (not (and (u64 random) (= (high random bound) wanted))))

; proved: a larger random number never draws a smaller number
(declare-const r Int)
(declare-const s Int)
(declare-const bound Int)
(assert (and (u64 r) (u64 s) (u64 bound) (> bound 0) (<= r s)))
(assert (not (<= (high r bound) (high s bound))))

; proved: by 32 bits: (random mod 2^32) * bound / 2^32 is below the bound
(declare-const random Int)
(declare-const bound Int)
(assert (and (u64 random) (> bound 0) (< bound two32)))
(assert (not (< (div (* (mod random two32) bound) two32) bound)))

; refuted: by 32 bits without the mod
(declare-const random Int)
(declare-const bound Int)
(assert (and (u64 random) (> bound 0) (< bound two32)))
(assert (not (< (div (* random bound) two32) bound)))

; proved: -bound % bound is 2^64 mod bound (what hooks_random_below throws away)
(declare-const bound Int)
(declare-const quotient Int)
(declare-const rest Int)
(assert (and (u64 bound) (> bound 0)))
; rest = (2^64 - bound) mod bound
(assert (and (= (- two64 bound) (+ (* quotient bound) rest)) (<= 0 rest) (< rest bound)))
(assert (not (and (= two64 (+ (* (+ quotient 1) bound) rest)) (<= 0 rest) (< rest bound))))
