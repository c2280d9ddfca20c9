package sagepro

import (
	"context"

	"github.com/tenderline/tenderline/internal/erp"
)

// SetPaymentStatus tells beside the order what became of a payment of it, or of all that it has where no transaction is named: an order may end
// before any money was taken. Sage Pro has no place of its own for that.
func (c *Client) SetPaymentStatus(ctx context.Context, key string, change erp.PaymentStatusChange) error {
	_, err := mutate(ctx, c, key, "SetPaymentStatus", change, func(ctx context.Context, t *tx) (string, error) {
		number, err := t.paidOrder(ctx, change)
		if err != nil {
			return "", err
		}
		if change.TransactionID == "" {
			changed, err := t.setPayments(ctx, number, string(change.Status))
			if err != nil || changed {
				return number, err
			}
		}
		return number, t.setPayment(ctx, number, orderPayment{transaction: change.TransactionID, status: string(change.Status), currency: change.Currency,
			amount: change.Amount})
	})
	return err
}

// paidOrder finds the order, named itself or by its invoice.
func (t *tx) paidOrder(ctx context.Context, change erp.PaymentStatusChange) (string, error) {
	number := change.SalesOrder
	if number == "" {
		invoice, err := t.client.invoiceOf(ctx, t.querier, change.Invoice)
		if err != nil {
			return "", absent(err)
		}
		number = string(invoice.OrNum)
	}
	order, err := t.client.orderOf(ctx, t.querier, number)
	return string(order.SoNo), absent(err)
}

// setPayments gives every payment of an order a status; changed is false where it has none.
func (t *tx) setPayments(ctx context.Context, number, status string) (changed bool, err error) {
	rows, err := t.update(ctx, "cyb_paystat", row{"company": t.site.company, "sono": number}, row{"paystatus": status, "updated": t.now.UTC()})
	return rows > 0, err
}

// setPayment writes what is known of a payment of an order. What is not known this time stays.
func (t *tx) setPayment(ctx context.Context, number string, payment orderPayment) error {
	known := row{"paystatus": payment.status, "amount": payment.amount, "currid": payment.currency, "updated": t.now.UTC()}
	for name, value := range map[string]string{"method": payment.method, "tokenid": payment.token, "last4": payment.last4} {
		if value != "" {
			known[name] = value
		}
	}
	key := row{"company": t.site.company, "sono": number, "cybtxn": payment.transaction}
	made, err := t.insertAbsent(ctx, "cyb_paystat", []string{"company", "sono", "cybtxn"}, merged(key, known))
	if err != nil || made {
		return err
	}
	return t.updateOne(ctx, "cyb_paystat", key, known)
}
