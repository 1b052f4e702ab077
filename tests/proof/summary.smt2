; Summary words: ipalloc/core/bitmap.c: flag_of, has_flags, bitmap_open_flags, bitmap_close_flag.
; 512 numbers to a line, 32 flags to a summary word, its version above them; for all 64-bit values.

(set-logic QF_BV)
(define-fun line_of ((n (_ BitVec 64))) (_ BitVec 64) (bvudiv n #x0000000000000200))
(define-fun up ((index (_ BitVec 64))) (_ BitVec 64) (bvudiv index #x0000000000000020))
(define-fun flag_of ((index (_ BitVec 64))) (_ BitVec 64)
  (bvshl #x0000000000000001 (bvurem index #x0000000000000020)))
(define-fun flags_of ((summary (_ BitVec 64))) (_ BitVec 64)
  (bvand summary #x00000000ffffffff))
(define-fun has_flags ((summary (_ BitVec 64))) Bool
  (not (= (flags_of summary) #x0000000000000000)))
(define-fun version_of ((summary (_ BitVec 64))) (_ BitVec 64)
  (bvlshr summary #x0000000000000020))
(define-fun opened ((seen (_ BitVec 64)) (index (_ BitVec 64))) (_ BitVec 64)
  (bvadd (bvor seen (flag_of index)) #x0000000100000000))
(define-fun closed ((seen (_ BitVec 64)) (index (_ BitVec 64))) (_ BitVec 64)
  (bvand seen (bvnot (flag_of index))))

; proved: the word and the flag of a child say which child it is
(declare-const a (_ BitVec 64))
(declare-const b (_ BitVec 64))
(assert (= (up a) (up b)))
(assert (= (flag_of a) (flag_of b)))
(assert (not (= a b)))

; refuted: the flag alone does
(declare-const a (_ BitVec 64))
(declare-const b (_ BitVec 64))
(assert (= (flag_of a) (flag_of b)))
(assert (not (= a b)))

; proved: a flag is one bit, of the lower half
(declare-const a (_ BitVec 64))
(assert (not (and (not (= (flag_of a) #x0000000000000000))
                  (= (bvand (flag_of a) (bvsub (flag_of a) #x0000000000000001))
                     #x0000000000000000)
                  (= (flags_of (flag_of a)) (flag_of a)))))

; proved: the largest map has one root: three levels above its lines there is nothing but word 0
(declare-const n (_ BitVec 64))
(assert (bvult n #x0000000001000000))
(assert (not (= (up (up (up (line_of n)))) #x0000000000000000)))

; refuted: a map of one number more has one root too
(declare-const n (_ BitVec 64))
(assert (bvule n #x0000000001000000))
(assert (not (= (up (up (up (line_of n)))) #x0000000000000000)))

; proved: opening sets this flag, leaves the others and counts the version up by one
(declare-const seen (_ BitVec 64))
(declare-const index (_ BitVec 64))
(define-fun after () (_ BitVec 64) (opened seen index))
(assert (not (and (= (flags_of after) (bvor (flags_of seen) (flag_of index)))
                  (= ((_ extract 31 0) (version_of after))
                     (bvadd ((_ extract 31 0) (version_of seen)) #x00000001)))))

; refuted: opening by addition does the same
(declare-const seen (_ BitVec 64))
(declare-const index (_ BitVec 64))
(define-fun after () (_ BitVec 64) (bvadd (bvadd seen (flag_of index)) #x0000000100000000))
(assert (not (= (flags_of after) (bvor (flags_of seen) (flag_of index)))))

; proved: closing clears this flag and leaves the others and the version
(declare-const seen (_ BitVec 64))
(declare-const index (_ BitVec 64))
(define-fun after () (_ BitVec 64) (closed seen index))
(assert (not (and (= (version_of after) (version_of seen))
                  (= (bvor (flags_of after) (flag_of index))
                     (bvor (flags_of seen) (flag_of index)))
                  (= (bvand after (flag_of index)) #x0000000000000000))))

; proved: no opening and closing of one flag leads back to the same word
(declare-const seen (_ BitVec 64))
(declare-const index (_ BitVec 64))
(assert (= (closed (opened seen index) index) seen))

; refuted: closing and opening never does, without a version
(declare-const seen (_ BitVec 64))
(declare-const index (_ BitVec 64))
(assert (= (bvor (closed seen index) (flag_of index)) seen))
