; Counting and selecting bits: ipalloc/core/bits.h, for all 64-bit words.

(set-logic QF_BV)
(define-fun every_byte () (_ BitVec 64) #x0101010101010101)

; bits_count_bytes
(define-fun pairs ((w (_ BitVec 64))) (_ BitVec 64)
  (bvsub w (bvand (bvlshr w #x0000000000000001) (bvmul #x0000000000000055 every_byte))))
(define-fun nibbles ((p (_ BitVec 64))) (_ BitVec 64)
  (bvadd (bvand p (bvmul #x0000000000000033 every_byte))
         (bvand (bvlshr p #x0000000000000002) (bvmul #x0000000000000033 every_byte))))
(define-fun bytes ((n (_ BitVec 64))) (_ BitVec 64)
  (bvand (bvadd n (bvlshr n #x0000000000000004)) (bvmul #x000000000000000f every_byte)))
(define-fun bits_count_bytes ((w (_ BitVec 64))) (_ BitVec 64) (bytes (nibbles (pairs w))))

; bits_count_plain
(define-fun bits_count_plain ((w (_ BitVec 64))) (_ BitVec 64)
  (bvlshr (bvmul (bits_count_bytes w) every_byte) #x0000000000000038))

; __builtin_ctzll of a byte that is not 0
(define-fun lowest ((b (_ BitVec 8))) (_ BitVec 64)
  (ite (= ((_ extract 0 0) b) #b1) #x0000000000000000
  (ite (= ((_ extract 1 1) b) #b1) #x0000000000000001
  (ite (= ((_ extract 2 2) b) #b1) #x0000000000000002
  (ite (= ((_ extract 3 3) b) #b1) #x0000000000000003
  (ite (= ((_ extract 4 4) b) #b1) #x0000000000000004
  (ite (= ((_ extract 5 5) b) #b1) #x0000000000000005
  (ite (= ((_ extract 6 6) b) #b1) #x0000000000000006 #x0000000000000007))))))))

; bits_select_plain. Its loop drops `rank` bits of the byte it has found: at most seven.
(define-fun drop ((b (_ BitVec 8)) (rank (_ BitVec 64)) (turn (_ BitVec 64))) (_ BitVec 8)
  (ite (bvugt rank turn) (bvand b (bvsub b #x01)) b))
(define-fun drop_all ((b (_ BitVec 8)) (rank (_ BitVec 64))) (_ BitVec 8)
  (drop (drop (drop (drop (drop (drop (drop b
    rank #x0000000000000000) rank #x0000000000000001) rank #x0000000000000002)
    rank #x0000000000000003) rank #x0000000000000004) rank #x0000000000000005)
    rank #x0000000000000006))
(define-fun upto ((w (_ BitVec 64))) (_ BitVec 64) (bvmul (bits_count_bytes w) every_byte))
(define-fun passed_of ((upto (_ BitVec 64)) (rank (_ BitVec 64))) (_ BitVec 64)
  (bvlshr (bvsub (bvor (bvmul rank every_byte) (bvmul #x0000000000000080 every_byte)) upto)
          #x0000000000000007))
(define-fun byte_of ((upto (_ BitVec 64)) (rank (_ BitVec 64))) (_ BitVec 64)
  (bvlshr (bvmul (bvand (passed_of upto rank) every_byte) every_byte) #x0000000000000038))
(define-fun rank_left ((upto (_ BitVec 64)) (rank (_ BitVec 64)) (shift (_ BitVec 64)))
  (_ BitVec 64)
  (bvsub rank (bvand (bvlshr (bvshl upto #x0000000000000008) shift) #x00000000000000ff)))
(define-fun select_in ((w (_ BitVec 64)) (rank (_ BitVec 64)) (shift (_ BitVec 64)))
  (_ BitVec 64)
  (bvadd shift (lowest (drop_all ((_ extract 7 0) (bvlshr w shift))
                                 (rank_left (upto w) rank shift)))))
(define-fun bits_select_plain ((w (_ BitVec 64)) (rank (_ BitVec 64))) (_ BitVec 64)
  (select_in w rank (bvshl (byte_of (upto w) rank) #x0000000000000003)))

; What they are to give, said in the plainest way.
(define-fun bit ((w (_ BitVec 64)) (i (_ BitVec 64))) Bool
  (= ((_ extract 0 0) (bvlshr w i)) #b1))
(define-fun sum8 ((b (_ BitVec 8))) (_ BitVec 8)
  (bvadd ((_ zero_extend 7) ((_ extract 0 0) b)) ((_ zero_extend 7) ((_ extract 1 1) b))
         ((_ zero_extend 7) ((_ extract 2 2) b)) ((_ zero_extend 7) ((_ extract 3 3) b))
         ((_ zero_extend 7) ((_ extract 4 4) b)) ((_ zero_extend 7) ((_ extract 5 5) b))
         ((_ zero_extend 7) ((_ extract 6 6) b)) ((_ zero_extend 7) ((_ extract 7 7) b))))
(define-fun sums ((w (_ BitVec 64))) (_ BitVec 64)
  (concat (sum8 ((_ extract 63 56) w)) (sum8 ((_ extract 55 48) w))
          (sum8 ((_ extract 47 40) w)) (sum8 ((_ extract 39 32) w))
          (sum8 ((_ extract 31 24) w)) (sum8 ((_ extract 23 16) w))
          (sum8 ((_ extract 15 8) w)) (sum8 ((_ extract 7 0) w))))
(define-fun byte ((s (_ BitVec 64)) (i (_ BitVec 64))) (_ BitVec 64)
  (bvand (bvlshr s (bvmul i #x0000000000000008)) #x00000000000000ff))
(define-fun total ((s (_ BitVec 64))) (_ BitVec 64)
  (bvadd (byte s #x0000000000000000) (byte s #x0000000000000001) (byte s #x0000000000000002)
         (byte s #x0000000000000003) (byte s #x0000000000000004) (byte s #x0000000000000005)
         (byte s #x0000000000000006) (byte s #x0000000000000007)))
(define-fun below ((i (_ BitVec 64))) (_ BitVec 64)
  (bvsub (bvshl #x0000000000000001 i) #x0000000000000001))
; Eight counts of at most eight each.
(define-fun is_count ((s (_ BitVec 64)) (i (_ BitVec 64))) Bool
  (bvule (byte s i) #x0000000000000008))
(define-fun are_counts ((s (_ BitVec 64))) Bool
  (and (is_count s #x0000000000000000) (is_count s #x0000000000000001)
       (is_count s #x0000000000000002) (is_count s #x0000000000000003)
       (is_count s #x0000000000000004) (is_count s #x0000000000000005)
       (is_count s #x0000000000000006) (is_count s #x0000000000000007)))

; Byte i of `upto` counts the bits of bytes 0..i: never less than the byte before, at most 64.
(define-fun are_sums ((u (_ BitVec 64))) Bool
  (and (bvule (byte u #x0000000000000000) (byte u #x0000000000000001)) (bvule (byte u #x0000000000000001) (byte u #x0000000000000002))
       (bvule (byte u #x0000000000000002) (byte u #x0000000000000003)) (bvule (byte u #x0000000000000003) (byte u #x0000000000000004))
       (bvule (byte u #x0000000000000004) (byte u #x0000000000000005)) (bvule (byte u #x0000000000000005) (byte u #x0000000000000006))
       (bvule (byte u #x0000000000000006) (byte u #x0000000000000007)) (bvule (byte u #x0000000000000007) #x0000000000000040)))
(define-fun is_passed ((u (_ BitVec 64)) (i (_ BitVec 64)) (rank (_ BitVec 64))) (_ BitVec 64)
  (ite (bvule (byte u i) rank) #x0000000000000001 #x0000000000000000))
(define-fun bytes_passed ((u (_ BitVec 64)) (rank (_ BitVec 64))) (_ BitVec 64)
  (bvadd (is_passed u #x0000000000000000 rank) (is_passed u #x0000000000000001 rank)
         (is_passed u #x0000000000000002 rank) (is_passed u #x0000000000000003 rank)
         (is_passed u #x0000000000000004 rank) (is_passed u #x0000000000000005 rank)
         (is_passed u #x0000000000000006 rank) (is_passed u #x0000000000000007 rank)))

; proved: bits_count_bytes counts the bits of every byte
(declare-const w (_ BitVec 64))
(assert (not (= (bits_count_bytes w) (sums w))))

; refuted: bits_count_bytes with a mask of 0x07 in the last step
(declare-const w (_ BitVec 64))
(assert (not (= (bvand (bvadd (nibbles (pairs w)) (bvlshr (nibbles (pairs w)) #x0000000000000004))
                       (bvmul #x0000000000000007 every_byte))
                (sums w))))

; proved: the counts of the bytes are at most eight each
(declare-const w (_ BitVec 64))
(assert (not (are_counts (sums w))))

; proved: the multiplication of bits_count_plain adds eight counts up
(declare-const s (_ BitVec 64))
(assert (are_counts s))
(assert (not (= (bvlshr (bvmul s every_byte) #x0000000000000038) (total s))))

; refuted: the multiplication adds up any eight bytes
(declare-const s (_ BitVec 64))
(assert (not (= (bvlshr (bvmul s every_byte) #x0000000000000038) (total s))))

; proved: the sums of counts never fall, and the last is at most 64
(declare-const s (_ BitVec 64))
(assert (are_counts s))
(assert (not (are_sums (bvmul s every_byte))))

; proved: and each is the one before and its own count
(declare-const s (_ BitVec 64))
(declare-const i (_ BitVec 64))
(define-fun up () (_ BitVec 64) (bvmul s every_byte))
(assert (are_counts s))
(assert (and (bvugt i #x0000000000000000) (bvult i #x0000000000000008)))
(assert (not (= (byte up i) (bvadd (byte up (bvsub i #x0000000000000001)) (byte s i)))))

; proved: comparing all eight with the rank at once counts those that are at most the rank
(declare-const u (_ BitVec 64))
(declare-const rank (_ BitVec 64))
(assert (are_sums u))
(assert (bvult rank #x0000000000000040))
(assert (not (= (byte_of u rank) (bytes_passed u rank))))

; refuted: for any rank
(declare-const u (_ BitVec 64))
(declare-const rank (_ BitVec 64))
(assert (are_sums u))
(assert (not (= (byte_of u rank) (bytes_passed u rank))))

; proved: that is the byte of the bit: the sums before it are at most the rank, its own is more
(declare-const u (_ BitVec 64))
(declare-const rank (_ BitVec 64))
(define-fun b () (_ BitVec 64) (bytes_passed u rank))
(assert (are_sums u))
(assert (bvult rank (byte u #x0000000000000007)))
(assert (not (and (bvult b #x0000000000000008)
                  (bvugt (byte u b) rank)
                  (=> (not (= b #x0000000000000000))
                      (bvule (byte u (bvsub b #x0000000000000001)) rank)))))

; refuted: also for a rank that is the number of bits
(declare-const u (_ BitVec 64))
(declare-const rank (_ BitVec 64))
(assert (are_sums u))
(assert (bvule rank (byte u #x0000000000000007)))
(assert (not (bvult (bytes_passed u rank) #x0000000000000008)))

; proved: the rank left in that byte is the rank less the sum before it
(declare-const u (_ BitVec 64))
(declare-const rank (_ BitVec 64))
(declare-const b (_ BitVec 64))
(assert (bvult b #x0000000000000008))
(assert (not (= (rank_left u rank (bvshl b #x0000000000000003))
                (bvsub rank (ite (= b #x0000000000000000) #x0000000000000000
                                 (byte u (bvsub b #x0000000000000001)))))))

; proved: within a byte the bit found is set and has as many below it as were asked for
(declare-const one (_ BitVec 8))
(declare-const rank (_ BitVec 64))
(define-fun wide () (_ BitVec 64) ((_ zero_extend 56) one))
(define-fun place () (_ BitVec 64) (lowest (drop_all one rank)))
(assert (bvult rank ((_ zero_extend 56) (sum8 one))))
(assert (not (and (bit wide place)
                  (= ((_ zero_extend 56) (sum8 ((_ extract 7 0) (bvand wide (below place)))))
                     rank))))

; refuted: within a byte, one bit too many dropped
(declare-const one (_ BitVec 8))
(declare-const rank (_ BitVec 64))
(define-fun wide () (_ BitVec 64) ((_ zero_extend 56) one))
(define-fun place () (_ BitVec 64)
  (lowest (drop_all one (bvadd rank #x0000000000000001))))
(assert (bvult rank ((_ zero_extend 56) (sum8 one))))
(assert (not (bit wide place)))

; proved: w & (w - 1) clears the lowest set bit and nothing else
(declare-const w (_ BitVec 64))
(declare-const i (_ BitVec 64))
(assert (bvult i #x0000000000000040))
(assert (bit w i))
(assert (= (bvand w (below i)) #x0000000000000000))
(assert (not (= (bvand w (bvsub w #x0000000000000001))
                (bvand w (bvnot (bvshl #x0000000000000001 i))))))

; proved: ~w & (w + 1) is the lowest clear bit
(declare-const w (_ BitVec 64))
(declare-const i (_ BitVec 64))
(assert (bvult i #x0000000000000040))
(assert (not (bit w i)))
(assert (= (bvand (bvnot w) (below i)) #x0000000000000000))
(assert (not (= (bvand (bvnot w) (bvadd w #x0000000000000001)) (bvshl #x0000000000000001 i))))

; refuted: w & (w + 1) is the lowest clear bit
(declare-const w (_ BitVec 64))
(declare-const i (_ BitVec 64))
(assert (bvult i #x0000000000000040))
(assert (not (bit w i)))
(assert (= (bvand (bvnot w) (below i)) #x0000000000000000))
(assert (not (= (bvand w (bvadd w #x0000000000000001)) (bvshl #x0000000000000001 i))))
