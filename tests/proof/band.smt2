; Masks: which numbers of a word belong to a half-open interval. Bit i of word w is number 64w + i.
; ipalloc/core/bitmap.c and what it includes, for all 64-bit numbers below 2^63. (A shift by 64 or
; more gives 0 here and anything in C, so that no such shift is made is proved too.)

(set-logic QF_BV)
(define-fun ones () (_ BitVec 64) #xffffffffffffffff)
(define-fun word_of ((n (_ BitVec 64))) (_ BitVec 64) (bvudiv n #x0000000000000040))
(define-fun bit_of ((n (_ BitVec 64))) (_ BitVec 64) (bvurem n #x0000000000000040))
(define-fun has ((mask (_ BitVec 64)) (n (_ BitVec 64))) Bool
  (= ((_ extract 0 0) (bvlshr mask (bit_of n))) #b1))
(define-fun small ((n (_ BitVec 64))) Bool (bvult n #x8000000000000000))

; the masks of a band (begin < end): at its first word and at its last
(define-fun first_mask ((begin (_ BitVec 64))) (_ BitVec 64) (bvshl ones (bit_of begin)))
(define-fun last_mask ((end (_ BitVec 64))) (_ BitVec 64)
  (bvlshr ones (bvsub #x000000000000003f (bit_of (bvsub end #x0000000000000001)))))
(define-fun band_mask ((begin (_ BitVec 64)) (end (_ BitVec 64)) (word (_ BitVec 64)))
  (_ BitVec 64)
  (bvand (ite (= word (word_of begin)) (first_mask begin) ones)
         (ite (= word (word_of (bvsub end #x0000000000000001))) (last_mask end) ones)
         (ite (and (bvuge word (word_of begin))
                   (bvule word (word_of (bvsub end #x0000000000000001))))
              ones #x0000000000000000)))

; within_band and every_bit_if: the same without a branch
(define-fun every_bit_if ((condition Bool)) (_ BitVec 64)
  (bvneg (ite condition #x0000000000000001 #x0000000000000000)))
(define-fun within_band ((begin (_ BitVec 64)) (end (_ BitVec 64)) (word (_ BitVec 64))
                         (room (_ BitVec 64))) (_ BitVec 64)
  (let ((first (word_of begin)) (last (word_of (bvsub end #x0000000000000001))))
    (bvand room
           (bvor (first_mask begin) (every_bit_if (not (= word first))))
           (bvor (last_mask end) (every_bit_if (not (= word last))))
           (every_bit_if (and (bvuge word first) (bvule word last))))))

; valid_bits: the numbers of a word that are below the size (and generations.c: below the split)
(define-fun valid_bits ((size (_ BitVec 64)) (word (_ BitVec 64))) (_ BitVec 64)
  (let ((begin (bvmul word #x0000000000000040)))
    (ite (bvule (bvadd begin #x0000000000000040) size) ones
    (ite (bvuge begin size) #x0000000000000000
      (bvsub (bvshl #x0000000000000001 (bvsub size begin)) #x0000000000000001)))))

; block_mask: the part of a block [begin, end) in a word that it touches
(define-fun block_mask ((word (_ BitVec 64)) (begin (_ BitVec 64)) (end (_ BitVec 64)))
  (_ BitVec 64)
  (let ((first (bvmul word #x0000000000000040)))
    (bvand (ite (bvugt begin first) (bvshl ones (bvsub begin first)) ones)
           (ite (bvult end (bvadd first #x0000000000000040))
                (bvlshr ones (bvsub (bvadd first #x0000000000000040) end)) ones))))

; proved: a band's masks select exactly its numbers
(declare-const begin (_ BitVec 64))
(declare-const end (_ BitVec 64))
(declare-const n (_ BitVec 64))
(assert (and (small begin) (small end) (small n) (bvult begin end)))
(assert (not (= (has (band_mask begin end (word_of n)) n)
                (and (bvule begin n) (bvult n end)))))

; refuted: a band's masks with the end's own bit in the last one
(declare-const begin (_ BitVec 64))
(declare-const end (_ BitVec 64))
(declare-const n (_ BitVec 64))
(assert (and (small begin) (small end) (small n) (bvult begin end)))
(assert (not (= (has (band_mask begin (bvadd end #x0000000000000001) (word_of n)) n)
                (and (bvule begin n) (bvult n end)))))

; proved: within_band does the same without a branch
(declare-const begin (_ BitVec 64))
(declare-const end (_ BitVec 64))
(declare-const word (_ BitVec 64))
(declare-const room (_ BitVec 64))
(assert (and (small begin) (small end) (bvult begin end)))
(assert (not (= (within_band begin end word room) (bvand room (band_mask begin end word)))))

; proved: the last mask by -end % 64 is the same
(declare-const end (_ BitVec 64))
(assert (not (= end #x0000000000000000)))
(assert (not (= (last_mask end) (bvlshr ones (bit_of (bvneg end))))))

; refuted: the last mask by end % 64
(declare-const end (_ BitVec 64))
(assert (not (= end #x0000000000000000)))
(assert (not (= (last_mask end) (bvlshr ones (bit_of end)))))

; proved: valid_bits are exactly the numbers below the size
(declare-const size (_ BitVec 64))
(declare-const n (_ BitVec 64))
(assert (and (small size) (small n)))
(assert (not (= (has (valid_bits size (word_of n)) n) (bvult n size))))

; proved: valid_bits have no gap: they are a run from bit 0
(declare-const size (_ BitVec 64))
(declare-const word (_ BitVec 64))
(assert (and (small size) (bvult word #x0100000000000000)))
(assert (not (= (bvand (valid_bits size word) (bvadd (valid_bits size word) #x0000000000000001))
                #x0000000000000000)))

; proved: valid_bits never shifts by 64 or more
(declare-const size (_ BitVec 64))
(declare-const word (_ BitVec 64))
(define-fun begin () (_ BitVec 64) (bvmul word #x0000000000000040))
(assert (and (small size) (bvult word #x0100000000000000)))
(assert (bvugt (bvadd begin #x0000000000000040) size))
(assert (bvult begin size))
(assert (not (bvult (bvsub size begin) #x0000000000000040)))

; refuted: nor would it without the case of a whole word
(declare-const size (_ BitVec 64))
(declare-const word (_ BitVec 64))
(define-fun begin () (_ BitVec 64) (bvmul word #x0000000000000040))
(assert (and (small size) (bvult word #x0100000000000000)))
(assert (bvult begin size))
(assert (not (bvult (bvsub size begin) #x0000000000000040)))

; proved: a block's mask selects exactly its numbers in the words that it touches
(declare-const begin (_ BitVec 64))
(declare-const end (_ BitVec 64))
(declare-const n (_ BitVec 64))
(assert (and (small begin) (small end) (small n) (bvult begin end)))
(assert (bvuge (word_of n) (word_of begin)))
(assert (bvult (bvmul (word_of n) #x0000000000000040) end))
(assert (not (= (has (block_mask (word_of n) begin end) n)
                (and (bvule begin n) (bvult n end)))))

; proved: and makes no shift by 64 or more there
(declare-const begin (_ BitVec 64))
(declare-const end (_ BitVec 64))
(declare-const word (_ BitVec 64))
(define-fun first () (_ BitVec 64) (bvmul word #x0000000000000040))
(assert (and (small begin) (small end) (bvult begin end) (bvult word #x0100000000000000)))
(assert (bvuge word (word_of begin)))
(assert (bvult first end))
(assert (not (and (=> (bvugt begin first) (bvult (bvsub begin first) #x0000000000000040))
                  (=> (bvult end (bvadd first #x0000000000000040))
                      (bvult (bvsub (bvadd first #x0000000000000040) end)
                             #x0000000000000040)))))

; refuted: nor in any other word
(declare-const begin (_ BitVec 64))
(declare-const end (_ BitVec 64))
(declare-const word (_ BitVec 64))
(define-fun first () (_ BitVec 64) (bvmul word #x0000000000000040))
(assert (and (small begin) (small end) (bvult begin end) (bvult word #x0100000000000000)))
(assert (not (=> (bvugt begin first) (bvult (bvsub begin first) #x0000000000000040))))
