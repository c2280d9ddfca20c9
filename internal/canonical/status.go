package canonical

// OrderStatus is where an order stands; needsAttention is a flag beside it.
type OrderStatus string

// The statuses of an order, in the order in which they are usually reached; the last four are ends.
const (
	OrderReceived        OrderStatus = "received"
	OrderPreparing       OrderStatus = "preparing"
	OrderAuthorizing     OrderStatus = "authorizing"
	OrderAwaitingPayment OrderStatus = "awaiting_payment"
	OrderInReview        OrderStatus = "in_review"
	OrderCapturing       OrderStatus = "capturing"
	OrderBooking         OrderStatus = "booking"
	OrderConfirmed       OrderStatus = "confirmed"
	OrderShipped         OrderStatus = "shipped"
	OrderDeclined        OrderStatus = "declined"
	OrderRejected        OrderStatus = "rejected"
	OrderCancelled       OrderStatus = "cancelled"
	OrderCompensated     OrderStatus = "compensated"
)

// Final tells whether the order-to-cash process has ended for an order of this status.
func (s OrderStatus) Final() bool {
	switch s {
	case OrderConfirmed, OrderShipped, OrderDeclined, OrderRejected, OrderCancelled, OrderCompensated:
		return true
	default:
		return false
	}
}

// PaymentStatus is what is known of an order's money.
type PaymentStatus string

// The statuses of a payment.
const (
	PaymentNone              PaymentStatus = "none"
	PaymentAuthorized        PaymentStatus = "authorized"
	PaymentHeld              PaymentStatus = "held"
	PaymentCaptured          PaymentStatus = "captured"
	PaymentSettled           PaymentStatus = "settled"
	PaymentVoided            PaymentStatus = "voided"
	PaymentReversed          PaymentStatus = "reversed"
	PaymentPartiallyRefunded PaymentStatus = "partially_refunded"
	PaymentRefunded          PaymentStatus = "refunded"
	PaymentDeclined          PaymentStatus = "declined"
	PaymentUnknown           PaymentStatus = "unknown"
	PaymentChargedBack       PaymentStatus = "charged_back"
)

// RefundStatus is where a refund stands.
type RefundStatus string

// The statuses of a refund; the last two are ends.
const (
	RefundReceived  RefundStatus = "received"
	RefundPaying    RefundStatus = "paying_back" // at the gateway
	RefundBooking   RefundStatus = "booking"     // the money is on its way back; the ERP follows
	RefundCompleted RefundStatus = "completed"
	RefundRefused   RefundStatus = "refused"
)

// Final tells whether a refund of this status has ended.
func (s RefundStatus) Final() bool { return s == RefundCompleted || s == RefundRefused }

// FraudDecision is a reviewer's verdict on a held order.
type FraudDecision string

// The verdicts.
const (
	FraudAccept FraudDecision = "accept"
	FraudReject FraudDecision = "reject"
)
