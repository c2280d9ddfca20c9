package world

import (
	"context"
	"net/http"
	"net/url"

	"github.com/shopspring/decimal"
)

// Refund is a refund as the API shows it.
type Refund struct {
	RefundID   string          `json:"refundId"`
	Status     string          `json:"status"`
	Amount     decimal.Decimal `json:"amount"`
	Net        decimal.Decimal `json:"net"`
	Tax        decimal.Decimal `json:"tax"`
	Shipping   decimal.Decimal `json:"shipping"`
	Way        string          `json:"way"`
	Origin     string          `json:"origin"`
	Actor      string          `json:"actor"`
	CreditMemo string          `json:"erpCreditMemo"`
	Why        string          `json:"why"`
	Cancels    bool            `json:"cancelsOrder"`
}

// Ended tells whether the refund has come to its end.
func (r Refund) Ended() bool { return r.Status == "completed" || r.Status == "refused" }

// RefundWish asks for a refund: an amount, or lines, or neither (all that is left).
type RefundWish struct {
	RefundID string       `json:"refundId"`
	Amount   string       `json:"amount,omitempty"`
	Lines    []RefundLine `json:"lines,omitempty"`
	Shipping string       `json:"shipping,omitempty"`
	Restock  bool         `json:"restock,omitempty"`
	Reason   string       `json:"reason,omitempty"`
}

// RefundLine is a quantity of one order line, counted from 1.
type RefundLine struct {
	Line     int    `json:"line"`
	Quantity string `json:"quantity"`
}

func (w *World) refunds(order string) string {
	return w.API + "/v1/orders/" + url.PathEscape(order) + "/refunds"
}

// AskRefund asks for a refund as the shop and gives the answer whatever it is.
func (w *World) AskRefund(ctx context.Context, order string, wish RefundWish, headers ...string) (Answer, error) {
	return w.Repeat(ctx, func(ctx context.Context) (Answer, error) {
		return w.Call(ctx, http.MethodPost, w.refunds(order), Shop, wish, headers...)
	})
}

// Refund reads a refund.
func (w *World) Refund(ctx context.Context, order, refund string) (Refund, error) {
	var view Refund
	err := w.safely(ctx, http.MethodGet, w.refunds(order)+"/"+url.PathEscape(refund), Shop, nil, &view, http.StatusOK)
	return view, err
}

// Refunds reads the refunds of an order, the oldest first.
func (w *World) Refunds(ctx context.Context, order string) ([]Refund, error) {
	var list struct {
		Refunds []Refund `json:"refunds"`
	}
	err := w.safely(ctx, http.MethodGet, w.refunds(order), Shop, nil, &list, http.StatusOK)
	return list.Refunds, err
}
