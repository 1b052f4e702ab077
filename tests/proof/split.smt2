; The static band: ipalloc/core/range.c: band_by_formula, split_of. KEP-3070: min(max(16, total /
; 16), 256) for addresses; KEP-3668: min(max(16, total / 32), 128) for ports; none up to 16. 128
; bits, for all sizes.

(set-logic QF_BV)
(define-fun zero () (_ BitVec 128) #x00000000000000000000000000000000)
(define-fun sixteen () (_ BitVec 128) #x00000000000000000000000000000010)
(define-fun band_by_formula ((total (_ BitVec 128)) (share (_ BitVec 128)) (most (_ BitVec 128)))
  (_ BitVec 128)
  (ite (bvule total sixteen) zero
  (ite (bvult (bvudiv total share) sixteen) sixteen
  (ite (bvugt (bvudiv total share) most) most (bvudiv total share)))))
(define-fun address_band ((total (_ BitVec 128))) (_ BitVec 128)
  (band_by_formula total sixteen #x00000000000000000000000000000100))
(define-fun port_band ((total (_ BitVec 128))) (_ BitVec 128)
  (band_by_formula total #x00000000000000000000000000000020 #x00000000000000000000000000000080))
; split_of: what was asked for or the formula's, within the size
(define-fun split_of ((band (_ BitVec 128)) (size (_ BitVec 128))) (_ BitVec 128)
  (ite (bvult band size) band size))

; proved: an address range has no static band up to 16, and one of 16 to 256 above
(declare-const total (_ BitVec 128))
(define-fun band () (_ BitVec 128) (address_band total))
(assert (not (ite (bvule total sixteen) (= band zero)
                  (and (bvuge band sixteen) (bvule band #x00000000000000000000000000000100)))))

; proved: a port range has no static band up to 16, and one of 16 to 128 above
(declare-const total (_ BitVec 128))
(define-fun band () (_ BitVec 128) (port_band total))
(assert (not (ite (bvule total sixteen) (= band zero)
                  (and (bvuge band sixteen) (bvule band #x00000000000000000000000000000080)))))

; refuted: a port range has up to 127
(declare-const total (_ BitVec 128))
(assert (not (bvule (port_band total) #x0000000000000000000000000000007f)))

; proved: a larger range has no smaller static band
(declare-const a (_ BitVec 128))
(declare-const b (_ BitVec 128))
(assert (bvule a b))
(assert (not (and (bvule (address_band a) (address_band b)) (bvule (port_band a) (port_band b)))))

; refuted: a larger range has a larger static band
(declare-const a (_ BitVec 128))
(declare-const b (_ BitVec 128))
(assert (bvult a b))
(assert (not (bvult (address_band a) (address_band b))))

; proved: above 16, some of the range is left to the dynamic band
(declare-const total (_ BitVec 128))
(assert (bvugt total sixteen))
(assert (not (and (bvult (address_band total) total) (bvult (port_band total) total))))

; proved: the two bands are the range
(declare-const band (_ BitVec 128))
(declare-const size (_ BitVec 128))
(assert (not (and (bvule (split_of band size) size)
                  (= (bvadd (split_of band size) (bvsub size (split_of band size))) size))))
