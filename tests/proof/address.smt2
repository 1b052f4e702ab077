; Addresses and offsets: ipalloc/core/range.c: value_of, addr_of_value (write_addr), measure_cidr,
; range_offset_of, range_addr_of. 128 bits, for all CIDRs and addresses.

(set-logic QF_BV)
(define-fun zero () (_ BitVec 128) #x00000000000000000000000000000000)
(define-fun one () (_ BitVec 128) #x00000000000000000000000000000001)

; measure_cidr: `ends` is how many addresses at the ends are not used: 0, 1 (IPv6) or 2 (IPv4)
(define-fun size_of ((host_mask (_ BitVec 128)) (ends (_ BitVec 128))) (_ BitVec 128)
  (ite (bvuge host_mask ends) (bvadd (bvsub host_mask ends) one)
  (ite (= ends zero) one zero)))
(define-fun first_of ((base (_ BitVec 128)) (ends (_ BitVec 128))) (_ BitVec 128)
  (ite (= ends zero) base (bvadd base one)))
; range_offset_of: the offset, and whether the address is in the range
(define-fun offset_of ((first (_ BitVec 128)) (value (_ BitVec 128))) (_ BitVec 128)
  (bvsub value first))
(define-fun in_range ((first (_ BitVec 128)) (size (_ BitVec 128)) (value (_ BitVec 128))) Bool
  (bvult (offset_of first value) size))

; A CIDR: a mask of ones from bit 0, a base without bits under it. ::/0 with all addresses is
; refused: it has one more than can be counted.
(define-fun is_cidr ((base (_ BitVec 128)) (host_mask (_ BitVec 128)) (ends (_ BitVec 128))) Bool
  (and (= (bvand host_mask (bvadd host_mask one)) zero)
       (= (bvand base host_mask) zero)
       (bvule ends #x00000000000000000000000000000002)
       (not (and (= ends zero) (= host_mask (bvnot zero))))))
; What Kubernetes hands out: inside, not the base, and for IPv4 not the last one.
(define-fun usable ((base (_ BitVec 128)) (host_mask (_ BitVec 128)) (ends (_ BitVec 128))
                    (value (_ BitVec 128))) Bool
  (and (= (bvand value (bvnot host_mask)) base)
       (=> (bvuge ends one) (not (= value base)))
       (=> (bvuge ends #x00000000000000000000000000000002)
           (not (= value (bvor base host_mask))))))

; value_of an IPv6 address: byte after byte from the left; addr_of_value: back
(define-fun push ((value (_ BitVec 128)) (byte (_ BitVec 8))) (_ BitVec 128)
  (bvor (bvshl value #x00000000000000000000000000000008) ((_ zero_extend 120) byte)))

; proved: an address is in the range exactly if it is usable
(declare-const base (_ BitVec 128))
(declare-const host_mask (_ BitVec 128))
(declare-const ends (_ BitVec 128))
(declare-const value (_ BitVec 128))
(assert (is_cidr base host_mask ends))
(assert (not (= (in_range (first_of base ends) (size_of host_mask ends) value)
                (usable base host_mask ends value))))

; refuted: the same with one address more
(declare-const base (_ BitVec 128))
(declare-const host_mask (_ BitVec 128))
(declare-const ends (_ BitVec 128))
(declare-const value (_ BitVec 128))
(assert (is_cidr base host_mask ends))
(assert (not (= (in_range (first_of base ends) (bvadd (size_of host_mask ends) one) value)
                (usable base host_mask ends value))))

; refuted: the same for ::/0 with all addresses
(declare-const value (_ BitVec 128))
(assert (not (= (in_range (first_of zero zero) (size_of (bvnot zero) zero) value)
                (usable zero (bvnot zero) zero value))))

; proved: from an address to its offset and back
(declare-const first (_ BitVec 128))
(declare-const value (_ BitVec 128))
(assert (not (= (bvadd first (offset_of first value)) value)))

; proved: from an offset to its address and back, within the CIDR
(declare-const base (_ BitVec 128))
(declare-const host_mask (_ BitVec 128))
(declare-const ends (_ BitVec 128))
(declare-const offset (_ BitVec 128))
(define-fun first () (_ BitVec 128) (first_of base ends))
(define-fun value () (_ BitVec 128) (bvadd first offset))
(assert (is_cidr base host_mask ends))
(assert (bvult offset (size_of host_mask ends)))
(assert (not (and (= (offset_of first value) offset)
                  (bvuge value base)
                  (= (bvand value (bvnot host_mask)) base))))

; refuted: every sum of a first address and an offset is above the first address
(declare-const first (_ BitVec 128))
(declare-const offset (_ BitVec 128))
(assert (not (bvuge (bvadd first offset) first)))

; proved: offsets keep the order of addresses
(declare-const base (_ BitVec 128))
(declare-const host_mask (_ BitVec 128))
(declare-const ends (_ BitVec 128))
(declare-const a (_ BitVec 128))
(declare-const b (_ BitVec 128))
(define-fun first () (_ BitVec 128) (first_of base ends))
(assert (is_cidr base host_mask ends))
(assert (usable base host_mask ends a))
(assert (usable base host_mask ends b))
(assert (not (= (bvult a b) (bvult (offset_of first a) (offset_of first b)))))

; proved: the bytes of an address are those of its value, the first byte on top
(declare-const value (_ BitVec 128))
(assert (not (= value
  (push (push (push (push (push (push (push (push (push (push (push (push (push (push (push (push
    zero
    ((_ extract 127 120) value)) ((_ extract 119 112) value)) ((_ extract 111 104) value))
    ((_ extract 103 96) value)) ((_ extract 95 88) value)) ((_ extract 87 80) value))
    ((_ extract 79 72) value)) ((_ extract 71 64) value)) ((_ extract 63 56) value))
    ((_ extract 55 48) value)) ((_ extract 47 40) value)) ((_ extract 39 32) value))
    ((_ extract 31 24) value)) ((_ extract 23 16) value)) ((_ extract 15 8) value))
    ((_ extract 7 0) value)))))
