package cli

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func (p *Program) refundCommand() *cobra.Command {
	return group(&cobra.Command{
		Use: "refund", Aliases: []string{"refunds"},
		Short: "Pay an order back, in whole or in part; follow refunds",
	}, p.refundCreate(), p.refundShow(), p.refundList())
}

func (p *Program) refundCreate() *cobra.Command {
	var wish refundWish
	var lines []string
	var wait time.Duration
	cmd := p.remoteCommand(&cobra.Command{
		Use:   "create ORDER REFUND",
		Short: "Refund an order: an amount, lines of it, or all that is left",
		Long: `Asks for a refund. REFUND is an id of your choice, unique within the order: the same command again changes nothing. Without
--amount and --line all that is left is refunded. How the money goes back (void, reversal or refund) follows from the payment; the ERP's
credit memo and the shop's message follow by themselves.

A refund of more than is left is refused with the figures. Until the order is confirmed, a refund of everything cancels it.`,
		Example: `  tenderline refund create WEB-10001 R-1 --amount 10.00 --reason "late delivery"
  tenderline refund create WEB-10001 R-2 --line 1=2 --line 3=1 --shipping 0.00 --restock --reason returned --wait 15s
  tenderline refund create WEB-10001 R-3 --reason "customer gave up"`,
		Args: exactly("an order id", "a refund id of your choice"),
	}, func(cmd *cobra.Command, args []string, r *remote, c *client) error {
		if wait < 0 || wait > time.Hour {
			return usage("--wait must be between 0s and 1h")
		}
		var err error
		if wish.Lines, err = wishedLines(lines); err != nil {
			return err
		}
		if wish.Amount != "" && len(wish.Lines) > 0 {
			return usage("--amount and --line don't go together")
		}
		wish.RefundID = args[1]
		a, err := c.requestRefund(cmd.Context(), args[0], wish, wait)
		if err != nil {
			return err
		}
		return r.write(cmd.OutOrStdout(), a, func(t *table) { showRefund(t, a.value) })
	})
	cmd.Flags().StringVar(&wish.Amount, "amount", "", "amount to refund, in the order's currency")
	cmd.Flags().StringArrayVar(&lines, "line", nil, "LINE=QUANTITY to refund, such as 1=2; may be repeated")
	cmd.Flags().StringVar(&wish.Shipping, "shipping", "", "with --line: shipping to refund; default its share")
	cmd.Flags().BoolVar(&wish.Restock, "restock", false, "the goods come back into stock")
	cmd.Flags().StringVar(&wish.Reason, "reason", "", "why, for the books and the audit")
	cmd.Flags().DurationVar(&wait, "wait", 0, "wait so long for the refund's end, such as 15s; the API may wait less")
	return cmd
}

var lineShape = regexp.MustCompile(`^([0-9]{1,4})=([0-9]{1,20}(?:\.[0-9]{1,20})?)$`)

// wishedLines reads LINE=QUANTITY.
func wishedLines(given []string) ([]wishedLine, error) {
	var lines []wishedLine
	for _, text := range given {
		parts := lineShape.FindStringSubmatch(text)
		if parts == nil {
			return nil, usage("--line must be like 1=2, the number of the order's line and a quantity")
		}
		number, err := strconv.Atoi(parts[1])
		if err != nil || number < 1 {
			return nil, usage("--line counts from 1")
		}
		lines = append(lines, wishedLine{Line: number, Quantity: parts[2]})
	}
	return lines, nil
}

func (p *Program) refundShow() *cobra.Command {
	return p.remoteCommand(&cobra.Command{
		Use: "show ORDER REFUND", Aliases: []string{"status"},
		Short:   "Show a refund as it stands",
		Example: "  tenderline refund show WEB-10001 R-1",
		Args:    exactly("an order id", "a refund id"),
	}, func(cmd *cobra.Command, args []string, r *remote, c *client) error {
		a, err := c.refund(cmd.Context(), args[0], args[1])
		if err != nil {
			return err
		}
		return r.write(cmd.OutOrStdout(), a, func(t *table) { showRefund(t, a.value) })
	})
}

func showRefund(t *table, f refund) {
	t.row("REFUND", f.RefundID)
	t.row("ORDER", f.OrderID)
	t.row("STATUS", f.Status)
	t.field("WHY", f.Why)
	t.row("AMOUNT", f.Amount+" "+f.Currency)
	t.row("OF IT", "goods "+f.Net+", tax "+f.Tax+", shipping "+f.Shipping)
	t.field("WAY", f.Way)
	if f.CancelsOrder {
		t.row("CANCELS", "the order was not confirmed: it is cancelled instead")
	}
	t.row("RESTOCK", yesNo(f.Restock))
	t.field("REASON", f.Reason)
	t.row("ASKED BY", strings.TrimSpace(f.Actor+" ("+f.Origin+")"))
	t.field("TRANSACTION", f.TransactionID)
	t.field("CREDIT MEMO", f.ErpCreditMemo)
	t.field("ERP REFUND", f.ErpRefund)
	t.row("CREATED", instant(f.CreatedAt))
	t.row("UPDATED", instant(f.UpdatedAt))
	if len(f.Lines) > 0 {
		t.section("Lines")
		t.row("LINE", "SKU", "QUANTITY", "NET", "TAX")
		for _, line := range f.Lines {
			t.row(strconv.Itoa(line.Line), line.SKU, line.Quantity, line.Net, line.Tax)
		}
	}
}

func (p *Program) refundList() *cobra.Command {
	return p.remoteCommand(&cobra.Command{
		Use: "list ORDER", Aliases: []string{"ls"},
		Short:   "List the refunds of an order",
		Example: "  tenderline refund list WEB-10001",
		Args:    exactly("an order id"),
	}, func(cmd *cobra.Command, args []string, r *remote, c *client) error {
		a, err := c.refunds(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		return r.write(cmd.OutOrStdout(), a, func(t *table) { listRefunds(t, a.value.Refunds) })
	})
}

func listRefunds(t *table, refunds []refund) {
	t.row("REFUND", "STATUS", "AMOUNT", "WAY", "CREDIT MEMO", "CREATED", "BY", "WHY")
	for _, f := range refunds {
		t.row(f.RefundID, f.Status, f.Amount+" "+f.Currency, f.Way, f.ErpCreditMemo, instant(f.CreatedAt), f.Actor, f.Why)
	}
}
