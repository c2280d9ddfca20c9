package cli

import (
	"errors"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

// chargeback is a dispute as the API shows it. Amounts are decimals in Currency.
type chargeback struct {
	CaseID        string    `json:"caseId"`
	OrderID       string    `json:"orderId"`
	TransactionID string    `json:"transactionId"`
	Amount        string    `json:"amount"`
	Currency      string    `json:"currency"`
	Fee           string    `json:"fee"`
	Reason        string    `json:"reason"`
	Retrieval     bool      `json:"retrieval"`
	State         string    `json:"state"`
	Cycle         int       `json:"cycle"`
	OpenedAt      time.Time `json:"openedAt"`
	RespondBy     time.Time `json:"respondBy"`
	Notes         []struct {
		At    time.Time `json:"at"`
		Note  string    `json:"note"`
		Actor string    `json:"actor"`
	} `json:"notes"`
}

type chargebackPage struct {
	Chargebacks []chargeback `json:"chargebacks"`
	Next        string       `json:"next"`
}

type takenCase struct {
	CaseID string `json:"caseId"`
}

// newCase is the body that opens a dispute.
type newCase struct {
	CaseID        string `json:"caseId"`
	OrderID       string `json:"orderId"`
	TransactionID string `json:"transactionId,omitempty"`
	Amount        string `json:"amount"`
	Fee           string `json:"fee,omitempty"`
	Reason        string `json:"reason,omitempty"`
	RespondBy     string `json:"respondBy,omitempty"`
	Retrieval     bool   `json:"retrieval,omitempty"`
}

// endedCase is the body that ends a dispute.
type endedCase struct {
	Outcome string `json:"outcome"`
	Reason  string `json:"reason,omitempty"`
	Again   bool   `json:"again,omitempty"`
}

func (p *Program) chargebackCommand() *cobra.Command {
	return group(&cobra.Command{
		Use: "chargeback", Aliases: []string{"chargebacks"},
		Short: "List and show disputes, open them by hand, tell how they ended",
	}, p.chargebackList(), p.chargebackShow(), p.chargebackOpen(), p.chargebackOutcome())
}

func (p *Program) chargebackList() *cobra.Command {
	var list page
	var state, order string
	cmd := p.booksCommand(&cobra.Command{
		Use: "list", Aliases: []string{"ls"},
		Short:   "List disputes, the latest first",
		Example: "  tenderline chargeback list --state open",
		Args:    exactly(),
	}, func(cmd *cobra.Command, _ []string, r *remote, c *client) error {
		query, err := list.query()
		if err != nil {
			return err
		}
		setGiven(query, map[string]string{"state": state, "orderId": order})
		a, err := fetch[chargebackPage](cmd.Context(), c, query, "chargebacks")
		if err != nil {
			return err
		}
		err = r.write(cmd.OutOrStdout(), a, func(t *table) {
			t.row("CASE", "ORDER", "STATE", "AMOUNT", "REASON", "OPENED", "RESPOND BY")
			for _, b := range a.value.Chargebacks {
				t.row(b.CaseID, b.OrderID, b.State, b.Amount+" "+b.Currency, b.Reason, instant(b.OpenedAt), instant(b.RespondBy))
			}
		})
		return errors.Join(err, r.more(cmd, a.value.Next))
	})
	list.flags(cmd)
	cmd.Flags().StringVar(&state, "state", "", "open, won or lost")
	cmd.Flags().StringVar(&order, "order", "", "only disputes of this order")
	return cmd
}

func (p *Program) chargebackShow() *cobra.Command {
	return p.booksCommand(&cobra.Command{
		Use: "show CASE", Aliases: []string{"status"},
		Short:   "Show a dispute with what happened in it",
		Example: "  tenderline chargeback show CB-20261120-1",
		Args:    exactly("the number of a case"),
	}, func(cmd *cobra.Command, args []string, r *remote, c *client) error {
		a, err := fetch[chargeback](cmd.Context(), c, nil, "chargebacks", args[0])
		if err != nil {
			return err
		}
		return r.write(cmd.OutOrStdout(), a, func(t *table) { showChargeback(t, a.value) })
	})
}

func showChargeback(t *table, b chargeback) {
	t.row("CASE", b.CaseID)
	t.row("ORDER", b.OrderID)
	t.row("STATE", b.State)
	if b.Cycle > 1 {
		t.row("CYCLE", strconv.Itoa(b.Cycle))
	}
	t.row("AMOUNT", b.Amount+" "+b.Currency)
	t.field("FEE", b.Fee)
	t.field("REASON", b.Reason)
	t.field("TRANSACTION", b.TransactionID)
	if b.Retrieval {
		t.row("KIND", "a request for copies: no money has moved")
	}
	t.row("OPENED", instant(b.OpenedAt))
	t.field("RESPOND BY", instant(b.RespondBy))
	if len(b.Notes) > 0 {
		t.section("What happened")
		t.row("AT", "WHAT", "BY")
		for _, note := range b.Notes {
			t.row(instant(note.At), note.Note, note.Actor)
		}
	}
}

func (p *Program) chargebackOpen() *cobra.Command {
	var body newCase
	var respondBy string
	cmd := p.booksCommand(&cobra.Command{
		Use:   "open CASE --order ORDER --amount AMOUNT",
		Short: "Open a dispute by hand, that a letter or the acquirer's portal told of",
		Long: `Opens a dispute of an order. The gateway's reports open disputes by themselves: do this only where they come late or not at all, with
the processor's case number, so that the report's row finds the dispute open. The same command again changes nothing.`,
		Example: "  tenderline chargeback open CB-20261120-1 --order WEB-10001 --amount 48.19 --reason 10.4 --respond-by 2026-12-10",
		Args:    exactly("the processor's number of the case"),
	}, func(cmd *cobra.Command, args []string, r *remote, c *client) error {
		if body.OrderID == "" || body.Amount == "" {
			return usage("--order and --amount are needed")
		}
		if respondBy != "" {
			if !isDate(respondBy) {
				return usage("--respond-by must be a date such as 2026-12-10")
			}
			body.RespondBy = respondBy + "T23:59:59Z"
		}
		body.CaseID = args[0]
		a, err := post[takenCase](cmd.Context(), c, body, "chargebacks")
		if err != nil {
			return err
		}
		return r.write(cmd.OutOrStdout(), a, func(t *table) { t.row("OPENED", a.value.CaseID) })
	})
	cmd.Flags().StringVar(&body.OrderID, "order", "", "the order whose payment is disputed")
	cmd.Flags().StringVar(&body.Amount, "amount", "", "disputed amount, in the order's currency")
	cmd.Flags().StringVar(&body.Fee, "fee", "", "what the processor charges for the dispute")
	cmd.Flags().StringVar(&body.Reason, "reason", "", "the scheme's code, such as 10.4")
	cmd.Flags().StringVar(&body.TransactionID, "transaction", "", "gateway transaction that settled")
	cmd.Flags().StringVar(&respondBy, "respond-by", "", "day by whose end (UTC) the evidence is due")
	cmd.Flags().BoolVar(&body.Retrieval, "retrieval", false, "a request for copies: no money has moved")
	return cmd
}

func (p *Program) chargebackOutcome() *cobra.Command {
	var reason string
	var again bool
	cmd := p.booksCommand(&cobra.Command{
		Use:   "outcome CASE won|lost",
		Short: "Tell a dispute how it ended, which books it",
		Long: `Tells a dispute how it ended, which books it. The same outcome again changes nothing. Another one is refused, unless --again says that
it is a later one, of an arbitration: it is booked with a journal of its own.`,
		Example: `  tenderline chargeback outcome CB-20261120-1 lost --reason "no proof of delivery"`,
		Args:    exactly("the number of a case", "won or lost"),
	}, func(cmd *cobra.Command, args []string, r *remote, c *client) error {
		if args[1] != "won" && args[1] != "lost" {
			return usage("an outcome is won or lost")
		}
		a, err := post[takenCase](cmd.Context(), c, endedCase{Outcome: args[1], Reason: reason, Again: again}, "chargebacks", args[0], "outcome")
		if err != nil {
			return err
		}
		return r.write(cmd.OutOrStdout(), a, func(t *table) { t.row(a.value.CaseID, args[1]) })
	})
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the audit")
	cmd.Flags().BoolVar(&again, "again", false, "it is a later outcome than the one that is known")
	return cmd
}
