package cli

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tenderline/tenderline/internal/canonical"
)

func (p *Program) fraudCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "fraud",
		Short: "List and show orders held for review; accept or reject them",
	},
		p.fraudList(), p.fraudShow(),
		p.fraudDecision("accept", "Accept a held order: its payment is captured and the order is released", canonical.FraudAccept),
		p.fraudDecision("reject", "Reject a held order: its payment is reversed and the order is cancelled", canonical.FraudReject),
	)
}

func (p *Program) fraudList() *cobra.Command {
	var list page
	var state string
	var escalated bool
	cmd := p.remoteCommand(&cobra.Command{
		Use: "list", Aliases: []string{"ls"},
		Short: "List the reviews that wait for a verdict, those that wait longest first",
		Example: `  tenderline fraud list
  tenderline fraud list --escalated
  tenderline fraud list --state decided --limit 20`,
		Args: exactly(),
	}, func(cmd *cobra.Command, _ []string, r *remote, c *client) error {
		query, err := list.query()
		if err != nil {
			return err
		}
		if state != "" {
			query.Set("state", state)
		}
		if cmd.Flags().Changed("escalated") {
			query.Set("escalated", strconv.FormatBool(escalated))
		}
		a, err := c.reviews(cmd.Context(), query)
		if err != nil {
			return err
		}
		err = r.write(cmd.OutOrStdout(), a, func(t *table) {
			t.row("ORDER", "TOTAL", "SCORE", "STATE", "SINCE", "DEADLINE", "THEN", "ESCALATED", "DECISION", "BY")
			for _, v := range a.value.Reviews {
				t.row(v.OrderID, v.Total+" "+v.Currency, v.Score, v.State, instant(v.Since), instant(v.Deadline), v.Default,
					yesNo(!v.EscalatedAt.IsZero()), v.Decision, v.Actor)
			}
		})
		return errors.Join(err, r.more(cmd, a.value.Next))
	})
	list.flags(cmd)
	cmd.Flags().StringVar(&state, "state", "", "open, decided, closed or all (default open)")
	cmd.Flags().BoolVar(&escalated, "escalated", false, "only those that were escalated; =false: only those that were not")
	return cmd
}

func (p *Program) fraudShow() *cobra.Command {
	return p.remoteCommand(&cobra.Command{
		Use:     "show ORDER",
		Short:   "Show a case: risk, order, addresses, device, the customer's history, and who decided",
		Long:    `Shows all that is known of a case. It holds personal data of the buyer: keep it on your screen.`,
		Example: "  tenderline fraud show WEB-10004",
		Args:    exactly("an order id"),
	}, func(cmd *cobra.Command, args []string, r *remote, c *client) error {
		a, err := c.review(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		return r.write(cmd.OutOrStdout(), a, func(t *table) { showCase(t, a.value) })
	})
}

// showCase prints a case as a card, from what weighs most to what explains it.
func showCase(t *table, c reviewCase) {
	v := c.Review
	t.row("ORDER", v.OrderID+", "+v.OrderStatus)
	t.row("TOTAL", v.Total+" "+v.Currency)
	t.row("STATE", stateOf(v))
	t.row("SINCE", instant(v.Since))
	t.field("REMINDED", instant(v.RemindedAt))
	t.field("ESCALATED", instant(v.EscalatedAt))
	if v.State == "open" {
		t.row("DEADLINE", instant(v.Deadline)+", then "+v.Default)
	}
	t.field("CHANNEL", v.Channel)
	t.field("PAYMENT", c.PaymentID)
	showRisk(t, c.Risk)
	showCaseOrder(t, c)
	showHistory(t, c.History)
	if len(c.Notes) > 0 {
		t.section("What happened")
		t.row("AT", "WHAT", "DECISION", "BY", "VIA", "WHY")
		for _, n := range c.Notes {
			t.row(instant(n.At), n.Note, n.Decision, n.Actor, n.Source, joined("; ", n.Comment, n.Rule))
		}
	}
}

func stateOf(v review) string {
	if v.Decision == "" {
		return v.State
	}
	return fmt.Sprintf("%s: %s by %s (%s) at %s", v.State, v.Decision, v.Actor, v.Source, instant(v.DecidedAt))
}

func showRisk(t *table, r caseRisk) {
	t.section("Risk")
	t.row("SCORE", r.Score)
	t.field("FACTORS", strings.Join(r.Factors, ", "))
	for _, rule := range r.Rules {
		t.row("RULE", joined(": ", rule.Name, rule.Decision))
	}
	t.field("VELOCITY", strings.Join(r.Velocity, ", "))
	for _, group := range slices.Sorted(maps.Keys(r.InfoCodes)) {
		t.row(strings.ToUpper(group), strings.Join(r.InfoCodes[group], ", "))
	}
	t.field("AVS", r.AVS)
	t.field("CVN", r.CVN)
	t.field("PROFILE", joined(", ", r.Profile, r.Model, r.Queue, r.Priority))
}

func showCaseOrder(t *table, c reviewCase) {
	o := c.Order
	t.section("Order")
	t.row("PLACED", instant(o.PlacedAt))
	t.row("CUSTOMER", joined(", ", o.Customer.ID, strings.TrimSpace(o.Customer.FirstName+" "+o.Customer.LastName), o.Customer.Company))
	t.row("EMAIL", o.Customer.Email)
	t.field("PHONE", o.Customer.Phone)
	t.row("BILL TO", addressOf(o.BillTo))
	t.row("SHIP TO", addressOf(o.ShipTo))
	if c.Match.Same {
		t.row("ADDRESSES", "the same")
	} else {
		t.row("ADDRESSES", "differ in "+strings.Join(c.Match.Differs, ", "))
	}
	if o.CardSuffix != "" {
		t.row("CARD", "type "+o.CardType+", ends in "+o.CardSuffix)
	}
	if o.Device != nil {
		t.field("IP ADDRESS", o.Device.IPAddress)
		t.field("FINGERPRINT", o.Device.FingerprintSessionID)
		t.field("BROWSER", o.Device.UserAgent)
	}
	for _, name := range slices.Sorted(maps.Keys(o.MerchantDefinedData)) {
		t.row("FIELD "+name, o.MerchantDefinedData[name])
	}
	t.section("Lines")
	t.row("LINE", "SKU", "QUANTITY", "PRICE", "DESCRIPTION")
	for _, line := range o.Lines {
		t.row(strconv.Itoa(line.Line), line.SKU, line.Quantity, line.UnitPrice, line.Description)
	}
}

func showHistory(t *table, h caseHistory) {
	t.section("Customer's other orders")
	if h.Orders == 0 {
		t.row("none: the first order of this customer")
		return
	}
	t.row("ORDERS", fmt.Sprintf("%d since %s: %d confirmed, %d declined, %d rejected, %d refunded, %d charged back",
		h.Orders, instant(h.First), h.Confirmed, h.Declined, h.Rejected, h.Refunded, h.ChargedBack))
	t.field("SPENT", strings.Join(h.Spent, ", "))
	for _, past := range h.Recent {
		t.row(past.OrderID, joined(", ", past.Status, "payment "+past.PaymentStatus, past.Total+" "+past.Currency, instant(past.ReceivedAt)))
	}
}

func addressOf(a caseAddress) string {
	return joined(", ", a.Name, a.Line1, a.Line2, joined(" ", a.PostalCode, a.City), joined(" ", a.Region, a.Country))
}

// joined puts together what there is of the parts.
func joined(with string, parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(part string) bool { return part == "" }), with)
}

func (p *Program) fraudDecision(verb, short string, decision canonical.FraudDecision) *cobra.Command {
	var comment string
	var mark bool
	cmd := p.remoteCommand(&cobra.Command{
		Use:   verb + " ORDER",
		Short: short,
		Long: short + `.

Who decided is the name of the API key. The first verdict holds: one that comes second, or late, is answered with the one that holds.`,
		Example: "  tenderline fraud " + verb + ` WEB-10004 --comment "called the customer"`,
		Args:    exactly("an order id"),
	}, func(cmd *cobra.Command, args []string, r *remote, c *client) error {
		a, err := c.decide(cmd.Context(), args[0], decision, comment, mark)
		if err != nil {
			return err
		}
		err = r.write(cmd.OutOrStdout(), a, func(t *table) {
			t.row("ORDER", "DECISION", "BY", "DECIDED BEFORE")
			t.row(a.value.OrderID, a.value.Decision, a.value.Actor, yesNo(a.value.Late))
		})
		if err == nil && a.value.LateReject && r.form != outputJSON {
			_, err = fmt.Fprintln(cmd.ErrOrStderr(),
				"the order was accepted before: what has not left is held, and its refund waits for an operator (tenderline attention list)")
		}
		return err
	})
	cmd.Flags().StringVar(&comment, "comment", "", "why, for the case and the audit")
	if decision == canonical.FraudReject {
		cmd.Long += `
A reject that comes after the money was taken holds what has not left, and proposes a refund to the operators.`
		cmd.Flags().BoolVar(&mark, "mark-customer", false, "mark the customer for the gateway's negative list")
	}
	return cmd
}
