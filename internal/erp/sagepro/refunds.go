package sagepro

import (
	"cmp"
	"context"
	"strings"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/fault"
)

// PostRefund posts money that was paid back against a credit memo: a row of cash below zero. A refund of the same reference is adopted where it
// is the same.
func (c *Client) PostRefund(ctx context.Context, key string, r erp.RefundPosting) (canonical.Receipt, error) {
	if r.Reference == "" || r.CreditMemo == "" {
		return canonical.Receipt{}, c.bug("a refund needs a reference and a credit memo")
	}
	if err := c.checkPosting(r.Reference, r.Date); err != nil {
		return canonical.Receipt{}, err
	}
	if err := c.checkMoney("amount", r.Amount, r.Currency); err != nil {
		return canonical.Receipt{}, err
	}
	memo := strings.TrimSpace(r.CreditMemo)
	wanted := payment{Kind: kindRefund, Customer: foldCode(r.CustomerCode), Currency: r.Currency, Amount: r.Amount, Date: r.Date, Bank: r.BankCode,
		Transaction: r.TransactionID, Moves: []cashMove{{memo, r.Amount.Neg()}}}
	return mutate(ctx, c, key, "PostRefund", r, func(ctx context.Context, t *tx) (canonical.Receipt, error) {
		held, err := t.claimPayment(ctx, r.Reference, &wanted)
		if err != nil {
			return canonical.Receipt{}, err
		}
		if held != nil {
			return held.receipt(r.Reference), nil
		}
		customer, err := t.openAccount(ctx, wanted.Customer, r.Currency, r.Date)
		if err != nil {
			return canonical.Receipt{}, err
		}
		document, err := t.lockReceivable(ctx, memo)
		if err != nil {
			return canonical.Receipt{}, err
		}
		if !document.credit() {
			return canonical.Receipt{}, c.refuse(fault.MissingReference, codeInvoice, memo+" is no credit memo")
		}
		posted := wanted
		posted.OrderNumber = string(document.PoNum)
		if posted.Bank == "" {
			if posted.Bank, err = t.bankOf(ctx, wanted.Customer); err != nil {
				return canonical.Receipt{}, err
			}
		}
		refNo := t.refNo(cmp.Or(r.TransactionID, r.Reference))
		if err := t.postCash(ctx, customer, &posted, []cashRow{{posted.Moves[0], paidRefund}}, refNo, nil); err != nil {
			return canonical.Receipt{}, err
		}
		return posted.receipt(r.Reference), t.keepPayment(ctx, r.Reference, &posted, statePosted)
	})
}

// bankOf is the bank account of a customer's last receipt, which is where a refund that names none is paid from; "" if there was none.
func (t *tx) bankOf(ctx context.Context, customer string) (string, error) {
	for _, table := range []string{"arcash", twins["arcash"]} {
		if !t.site.keeps(table) {
			continue
		}
		var banks []text
		err := t.list(ctx, &banks, of("SELECT {top 1}{@: bankacct} FROM {@} WHERE {@.custno} = ? AND {@.paytype} IN (?, ?) AND {@.bankacct} <> ''"+
			" ORDER BY {@.id_col} DESC{limit 1}", table, ""), t.value("arcash.custno", customer), t.value("arcash.paytype", paidReceipt), t.value("arcash.paytype", paidDeposit))
		if err != nil {
			return "", err
		}
		if len(banks) > 0 {
			return string(banks[0]), nil
		}
	}
	return "", nil
}
