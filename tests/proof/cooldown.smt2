; Cool-down by generations: an epoch is half a rest, rounded up; a generation ends when the third
; epoch after its own begins. Milliseconds, as integers; rest > 0, released <= now.

(set-logic QF_NIA)

; ipalloc/core/generations.c: generations_create, generations_put, generations_look
(define-fun epoch_ms_of ((rest Int)) Int (+ (div rest 2) (mod rest 2)))
(define-fun has_rested ((rest Int) (released Int) (now Int)) Bool
  (>= (div now (epoch_ms_of rest)) (+ (div released (epoch_ms_of rest)) 3)))

; The same without division, for the solver.
(declare-const rest Int)
(declare-const epoch_ms Int)
(declare-const released Int)
(declare-const released_epoch Int)
(declare-const now Int)
(declare-const now_epoch Int)
(assert (and (> rest 0) (<= 0 released) (<= released now)))
(assert (= epoch_ms (epoch_ms_of rest)))
; released_epoch = released / epoch_ms, now_epoch = now / epoch_ms
(assert (and (<= (* released_epoch epoch_ms) released)
             (< released (* (+ released_epoch 1) epoch_ms))))
(assert (and (<= (* now_epoch epoch_ms) now) (< now (* (+ now_epoch 1) epoch_ms))))

; proved: what has been let go has rested its full time
(assert (>= now_epoch (+ released_epoch 3)))
(assert (not (>= (- now released) rest)))

; refuted: two epochs are enough
(assert (>= now_epoch (+ released_epoch 2)))
(assert (not (>= (- now released) rest)))

; proved: nothing rests longer than half as long again, and 2 ms for rounding
(assert (< now_epoch (+ released_epoch 3)))
(assert (not (< (* 2 (- now released)) (+ (* 3 rest) 4))))

; refuted: nothing rests longer than its time
(assert (< now_epoch (+ released_epoch 3)))
(assert (not (<= (- now released) rest)))

; refuted: epochs of a third of a rest would do
(declare-const short_ms Int)
(declare-const short_released Int)
(declare-const short_now Int)
(assert (and (= short_ms (div rest 3)) (> short_ms 0)))
(assert (and (<= (* short_released short_ms) released)
             (< released (* (+ short_released 1) short_ms))))
(assert (and (<= (* short_now short_ms) now) (< now (* (+ short_now 1) short_ms))))
(assert (>= short_now (+ short_released 3)))
(assert (not (>= (- now released) rest)))

; proved: three generations that can rest at a time have three slots
(declare-const a Int)
(declare-const b Int)
(assert (and (<= 0 a) (< a b) (<= b (+ a 2))))
(assert (= (mod a 3) (mod b 3)))

; refuted: two slots would do
(declare-const a Int)
(declare-const b Int)
(assert (and (<= 0 a) (< a b) (<= b (+ a 2))))
(assert (= (mod a 2) (mod b 2)))
