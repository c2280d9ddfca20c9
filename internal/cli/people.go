package cli

import (
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tenderline/tenderline/internal/canonical"
	"github.com/tenderline/tenderline/workflows"
)

func (p *Program) fraudCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "fraud",
		Short: "List orders held for review; accept or reject them",
	},
		p.fraudList(),
		p.fraudDecision("accept", "Accept a held order: its payment is captured and the order is released", canonical.FraudAccept),
		p.fraudDecision("reject", "Reject a held order: its payment is reversed and the order is cancelled", canonical.FraudReject),
	)
}

func (p *Program) fraudList() *cobra.Command {
	var list page
	cmd := p.remoteCommand(&cobra.Command{
		Use: "list", Aliases: []string{"ls"},
		Short:   "List the orders that wait for a verdict",
		Example: "  tenderline fraud list",
		Args:    exactly(),
	}, func(cmd *cobra.Command, _ []string, r *remote, c *client) error {
		query, err := list.query()
		if err != nil {
			return err
		}
		a, err := c.reviews(cmd.Context(), query)
		if err != nil {
			return err
		}
		err = r.write(cmd.OutOrStdout(), a, func(t *table) {
			t.row("ORDER", "TOTAL", "ATTENTION", "RECEIVED", "CHANNEL", "REASON")
			for _, v := range a.value.Reviews {
				t.row(v.OrderID, v.Total+" "+v.Currency, yesNo(v.NeedsAttention), instant(v.ReceivedAt), v.Channel, v.Reason)
			}
		})
		return errors.Join(err, r.more(cmd, a.value.Next))
	})
	list.flags(cmd)
	return cmd
}

func (p *Program) fraudDecision(verb, short string, decision canonical.FraudDecision) *cobra.Command {
	var comment string
	cmd := p.remoteCommand(&cobra.Command{
		Use:   verb + " ORDER",
		Short: short,
		Long: short + `.

Who decided is the name of the API key. A verdict that comes second, or late, is answered with the one that holds.`,
		Example: "  tenderline fraud " + verb + ` WEB-10004 --comment "called the customer"`,
		Args:    exactly("an order id"),
	}, func(cmd *cobra.Command, args []string, r *remote, c *client) error {
		a, err := c.decide(cmd.Context(), args[0], decision, comment)
		if err != nil {
			return err
		}
		return r.write(cmd.OutOrStdout(), a, func(t *table) {
			t.row("ORDER", "DECISION", "BY", "DECIDED BEFORE")
			t.row(a.value.OrderID, a.value.Decision, a.value.Actor, yesNo(a.value.Late))
		})
	})
	cmd.Flags().StringVar(&comment, "comment", "", "why, for the case and the audit")
	return cmd
}

func (p *Program) attentionCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "attention",
		Short: "List, show and resolve steps that wait for a person",
	}, p.attentionList(), p.attentionShow(), p.attentionResolve())
}

func (p *Program) attentionList() *cobra.Command {
	var list page
	var state, order, class string
	cmd := p.remoteCommand(&cobra.Command{
		Use: "list", Aliases: []string{"ls"},
		Short: "List parked steps, those that wait longest first",
		Example: `  tenderline attention list
  tenderline attention list --state all --order WEB-10007`,
		Args: exactly(),
	}, func(cmd *cobra.Command, _ []string, r *remote, c *client) error {
		query, err := list.query()
		if err != nil {
			return err
		}
		for name, value := range map[string]string{"state": state, "orderId": order, "class": class} {
			if value != "" {
				query.Set(name, value)
			}
		}
		a, err := c.attentions(cmd.Context(), query)
		if err != nil {
			return err
		}
		err = r.write(cmd.OutOrStdout(), a, func(t *table) {
			t.row("ID", "ORDER", "STEP", "CLASS", "STATE", "SINCE", "DEADLINE", "SUMMARY")
			for _, i := range a.value.Items {
				t.row(i.ID, i.OrderID, i.Step, i.Class, i.State, instant(i.Since), instant(i.Deadline), i.Summary)
			}
		})
		return errors.Join(err, r.more(cmd, a.value.Next))
	})
	list.flags(cmd)
	cmd.Flags().StringVar(&state, "state", "", "open, resolved or all (default open)")
	cmd.Flags().StringVar(&order, "order", "", "only those of this order")
	cmd.Flags().StringVar(&class, "class", "", "only those of this class of failure, such as closed_period")
	return cmd
}

func (p *Program) attentionShow() *cobra.Command {
	return p.remoteCommand(&cobra.Command{
		Use:     "show ID",
		Short:   "Show a parked step: what was sent, what came back, what to do",
		Example: "  tenderline attention show 0f3c9a",
		Args:    exactly("the id of a parked step"),
	}, func(cmd *cobra.Command, args []string, r *remote, c *client) error {
		a, err := c.attention(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		return r.write(cmd.OutOrStdout(), a, func(t *table) { showParked(t, a.value) })
	})
}

func showParked(t *table, i parked) {
	t.row("ID", i.ID)
	t.row("ORDER", i.OrderID)
	t.row("STATE", i.State)
	t.row("STEP", i.Step)
	t.row("CLASS", i.Class)
	t.row("SUMMARY", i.Summary)
	t.field("SUGGESTION", i.Suggestion)
	t.row("RESOLVE WITH", strings.Join(i.Actions, ", "))
	t.row("SINCE", instant(i.Since))
	t.field("DEADLINE", instant(i.Deadline))
	t.row("WORKFLOW", i.WorkflowID)
	if i.Resolution != "" {
		t.row("RESOLVED", i.Resolution+" by "+i.Actor+" at "+instant(i.ResolvedAt))
		t.field("REASON", i.Reason)
	}
	t.document("Sent", i.Sent)
	t.document("Answer", i.Answer)
}

func (p *Program) attentionResolve() *cobra.Command {
	var with, reason string
	known := []string{string(workflows.ResolveRetry), string(workflows.ResolveCompensate)}
	cmd := p.remoteCommand(&cobra.Command{
		Use:   "resolve ID --with retry|compensate --reason TEXT",
		Short: "Resolve a parked step: try it again, or take the order back",
		Long: `retry tries the step again, once what was wrong is corrected outside; compensate takes back what the order did, money first.
Who resolved it is the name of the API key; of two people the first one wins.`,
		Example: `  tenderline attention resolve 0f3c9a --with retry --reason "period opened"
  tenderline attention resolve 0f3c9a --with compensate --reason "customer gave up"`,
		Args: exactly("the id of a parked step"),
	}, func(cmd *cobra.Command, args []string, r *remote, c *client) error {
		if !slices.Contains(known, with) {
			return usage("--with must be %s", strings.Join(known, " or "))
		}
		a, err := c.resolve(cmd.Context(), args[0], with, reason)
		if err != nil {
			return err
		}
		return r.write(cmd.OutOrStdout(), a, func(t *table) {
			t.row("ID", "RESOLUTION")
			t.row(a.value.ID, a.value.Resolution)
		})
	})
	cmd.Flags().StringVar(&with, "with", "", strings.Join(known, " or "))
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the audit")
	return cmd
}
