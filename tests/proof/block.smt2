; Aligned blocks of addresses: what ipalloc_range_allocate_block has to compute. A block of 2^k
; addresses whose base has k zero bits is one CIDR. 128 bits, for all ranges and block sizes.

(set-logic QF_BV)
(define-fun zero () (_ BitVec 128) #x00000000000000000000000000000000)
(define-fun one () (_ BitVec 128) #x00000000000000000000000000000001)
(define-fun is_mask ((m (_ BitVec 128))) Bool (= (bvand m (bvadd m one)) zero))
; The first offset whose address is aligned, in a range whose first address is `first`.
(define-fun aligned_offset ((first (_ BitVec 128)) (mask (_ BitVec 128))) (_ BitVec 128)
  (bvand (bvneg first) mask))

; proved: the first aligned offset is aligned
(declare-const first (_ BitVec 128))
(declare-const mask (_ BitVec 128))
(assert (is_mask mask))
(assert (not (= (bvand (bvadd first (aligned_offset first mask)) mask) zero)))

; proved: no offset before it is
(declare-const first (_ BitVec 128))
(declare-const mask (_ BitVec 128))
(declare-const offset (_ BitVec 128))
(assert (is_mask mask))
(assert (bvult offset (aligned_offset first mask)))
(assert (= (bvand (bvadd first offset) mask) zero))

; refuted: first & mask is aligned
(declare-const first (_ BitVec 128))
(declare-const mask (_ BitVec 128))
(assert (is_mask mask))
(assert (not (= (bvand (bvadd first (bvand first mask)) mask) zero)))

; proved: where the base is not used (first = base + 1) the first block is the second of the CIDR
(declare-const base (_ BitVec 128))
(declare-const mask (_ BitVec 128))
(assert (is_mask mask))
(assert (not (= mask (bvnot zero))))
(assert (= (bvand base mask) zero))
(define-fun start () (_ BitVec 128)
  (bvadd (bvadd base one) (aligned_offset (bvadd base one) mask)))
(assert (not (= start (ite (= mask zero) (bvadd base one) (bvadd base (bvadd mask one))))))

; proved: the addresses of an aligned block are those of one CIDR
(declare-const start (_ BitVec 128))
(declare-const mask (_ BitVec 128))
(declare-const value (_ BitVec 128))
(assert (is_mask mask))
(assert (= (bvand start mask) zero))
(assert (not (= (bvule (bvsub value start) mask) (= (bvand value (bvnot mask)) start))))

; refuted: so are those of any block
(declare-const start (_ BitVec 128))
(declare-const mask (_ BitVec 128))
(declare-const value (_ BitVec 128))
(assert (is_mask mask))
(assert (not (= (bvule (bvsub value start) mask) (= (bvand value (bvnot mask)) start))))
