package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tenderline/tenderline/workflows"
)

func (p *Program) attentionCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "attention",
		Short: "List, show and resolve what waits for a person",
	}, p.attentionList(), p.attentionShow(), p.attentionResolve(), p.attentionRetry())
}

func (p *Program) attentionList() *cobra.Command {
	var list page
	var state, order, class, system string
	cmd := p.remoteCommand(&cobra.Command{
		Use: "list", Aliases: []string{"ls"},
		Short: "List parked items, those that wait longest first",
		Example: `  tenderline attention list
  tenderline attention list --class connection --system erp-syspro
  tenderline attention list --state all --order WEB-10007`,
		Args: exactly(),
	}, func(cmd *cobra.Command, _ []string, r *remote, c *client) error {
		query, err := list.query()
		if err != nil {
			return err
		}
		for name, value := range map[string]string{"state": state, "orderId": order, "class": class, "system": system} {
			if value != "" {
				query.Set(name, value)
			}
		}
		a, err := c.attentions(cmd.Context(), query)
		if err != nil {
			return err
		}
		err = r.write(cmd.OutOrStdout(), a, func(t *table) {
			t.row("ID", "ORDER", "STEP", "CLASS", "SYSTEM", "STATE", "SINCE", "DEADLINE", "SUMMARY")
			for _, i := range a.value.Items {
				t.row(i.ID, i.OrderID, i.Step, i.Class, i.System, i.State, instant(i.Since), instant(i.Deadline), i.Summary)
			}
		})
		return errors.Join(err, r.more(cmd, a.value.Next))
	})
	list.flags(cmd)
	cmd.Flags().StringVar(&state, "state", "", "open, resolved or all (default open)")
	cmd.Flags().StringVar(&order, "order", "", "only items of this order")
	cmd.Flags().StringVar(&class, "class", "", "only items of this class of failure, such as closed_period")
	cmd.Flags().StringVar(&system, "system", "", "only items that this outside system failed at, such as erp-syspro")
	return cmd
}

func (p *Program) attentionShow() *cobra.Command {
	return p.remoteCommand(&cobra.Command{
		Use:     "show ID",
		Short:   "Show a parked item: what was sent, what came back, what may mend it and how",
		Example: "  tenderline attention show att-4kq2m7c3x5ah6rjd",
		Args:    exactly("the id of a parked item"),
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
	t.field("SYSTEM", i.System)
	t.row("SUMMARY", i.Summary)
	t.field("SUGGESTION", i.Suggestion)
	t.row("RESOLVE WITH", strings.Join(i.Actions, ", "))
	t.row("SINCE", instant(i.Since))
	t.field("DEADLINE", instant(i.Deadline))
	t.field("WORKFLOW", i.WorkflowID)
	if i.Resolution != "" {
		t.row("RESOLVED", i.Resolution+" by "+i.Actor+" at "+instant(i.ResolvedAt))
		t.field("REASON", i.Reason)
	}
	showFixes(t, i)
	t.document("Sent", i.Sent)
	t.document("Answer", i.Answer)
}

// showFixes prints what may mend an item, each with the command that takes it.
func showFixes(t *table, i parked) {
	if len(i.Fixes) == 0 {
		return
	}
	t.section("What may mend it")
	for n, f := range i.Fixes {
		t.row(strconv.Itoa(n+1), f.Text)
		t.field("seen", f.Evidence)
		if i.State == "open" && f.Resolution != "" {
			t.field("take", commandOf(i.ID, f))
		}
	}
}

// commandOf is the command line that takes a fix.
func commandOf(id string, f fix) string {
	words := []string{"tenderline", "attention", "resolve", id, "--with", f.Resolution}
	correction, err := f.correction()
	if err != nil {
		return ""
	}
	if correction != nil {
		for _, place := range slices.Sorted(maps.Keys(correction.Order)) {
			words = append(words, "--set", quoted(setting(place, correction.Order[place])))
		}
		for _, place := range slices.Sorted(maps.Keys(correction.Document)) {
			words = append(words, "--set-document", quoted(setting(place, correction.Document[place])))
		}
		if correction.Date != "" {
			words = append(words, "--date", correction.Date)
		}
	}
	return strings.Join(append(words, "--reason", "..."), " ")
}

// correction reads what a fix changes, nil for nothing.
func (f fix) correction() (*correction, error) {
	if len(f.Correction) == 0 || string(f.Correction) == "null" {
		return nil, nil
	}
	var c correction
	if err := json.Unmarshal(f.Correction, &c); err != nil {
		return nil, errors.New("the suggested correction can't be read")
	}
	return &c, nil
}

// setting writes a change as --set takes it.
func setting(place string, value any) string {
	if text, isText := value.(string); isText {
		return place + "=" + text
	}
	text, _ := json.Marshal(value) // decoded from JSON: marshals
	return place + ":=" + string(text)
}

// quoted protects a word from the shell.
func quoted(word string) string {
	special := func(r rune) bool {
		return !(r >= 'a' && r <= 'z') && !(r >= 'A' && r <= 'Z') && !(r >= '0' && r <= '9') && !strings.ContainsRune("/=.:_-+,@%", r)
	}
	if !strings.ContainsFunc(word, special) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

var knownResolutions = []string{
	string(workflows.ResolveRetry), string(workflows.ResolveRetryWith), string(workflows.ResolveSkip),
	string(workflows.ResolveApprove), string(workflows.ResolveCompensate),
}

// resolving are the flags of attention resolve.
type resolving struct {
	with, reason, date string
	reference          string
	order, document    []string
	fix                int
}

func (p *Program) attentionResolve() *cobra.Command {
	var flags resolving
	cmd := p.remoteCommand(&cobra.Command{
		Use:   "resolve ID --with retry|retry_with|skip|approve|compensate --reason TEXT",
		Short: "Resolve a parked item: try it again, correct it, pass it over, or take the order back",
		Long: `retry tries the step again, once what was wrong is corrected outside. retry_with corrects it here first: --set changes the order,
--set-document the step's ERP document, --date the posting date. skip goes on without the step; of a journal or invoice of a settlement day
it says that you book it by hand, and --reference under which number. approve lets a settlement day post. compensate takes back what the order did,
money first; of a sales order that people stopped in the ERP it asks for a refund of what is left. "attention show" says which of them an
item takes.

--set and --set-document take PLACE=TEXT, or PLACE:=JSON for what is no text. PLACE is a JSON pointer. --fix N takes the N-th of what
"attention show" suggests.

Who resolved it is the name of the API key; of two people the first one wins.`,
		Example: `  tenderline attention resolve att-4kq2m7c3x5ah6rjd --with retry --reason "period opened"
  tenderline attention resolve att-4kq2m7c3x5ah6rjd --with retry_with --set /lines/0/sku=A100 --reason "renamed last week"
  tenderline attention resolve att-4kq2m7c3x5ah6rjd --with retry_with --date 2026-12-01 --reason "November is closed"
  tenderline attention resolve att-4kq2m7c3x5ah6rjd --fix 1 --reason "as suggested"
  tenderline attention resolve att-4kq2m7c3x5ah6rjd --with skip --reference M-1702 --reason "booked in the old period"
  tenderline attention resolve att-4kq2m7c3x5ah6rjd --with compensate --reason "customer gave up"`,
		Args: exactly("the id of a parked item"),
	}, func(cmd *cobra.Command, args []string, r *remote, c *client) error {
		body, err := flags.resolution()
		if err != nil {
			return err
		}
		if flags.fix > 0 {
			if body, err = suggested(cmd, c, args[0], flags.fix, flags.reason); err != nil {
				return err
			}
		}
		a, err := c.resolve(cmd.Context(), args[0], body)
		if err != nil {
			return err
		}
		return r.write(cmd.OutOrStdout(), a, func(t *table) { showResolved(t, a.value) })
	})
	cmd.Flags().StringVar(&flags.with, "with", "", strings.Join(knownResolutions, ", "))
	cmd.Flags().StringVar(&flags.reason, "reason", "", "why, for the audit")
	cmd.Flags().StringArrayVar(&flags.order, "set", nil, "with retry_with: PLACE=TEXT of the order; may be repeated")
	cmd.Flags().StringArrayVar(&flags.document, "set-document", nil, "with retry_with: PLACE=TEXT of the step's ERP document; may be repeated")
	cmd.Flags().StringVar(&flags.date, "date", "", "with retry_with: posting date, such as 2026-12-01")
	cmd.Flags().StringVar(&flags.reference, "reference", "", "with skip: number under which you book the document by hand")
	cmd.Flags().IntVar(&flags.fix, "fix", 0, "take the suggestion of this number, in place of --with")
	return cmd
}

func showResolved(t *table, r resolved) {
	switch {
	case r.RefundID != "":
		t.row("ID", "RESOLUTION", "REFUND")
		t.row(r.ID, r.Resolution, r.RefundID)
	case r.Why != "":
		t.row("ID", "RESOLUTION", "WHY")
		t.row(r.ID, r.Resolution, r.Why)
	default:
		t.row("ID", "RESOLUTION")
		t.row(r.ID, r.Resolution)
	}
}

// resolution makes the body of what was typed.
func (f resolving) resolution() (resolution, error) {
	corrects := len(f.order)+len(f.document) > 0 || f.date != ""
	switch {
	case f.fix < 0:
		return resolution{}, usage("--fix counts from 1")
	case f.fix > 0 && (f.with != "" || corrects || f.reference != ""):
		return resolution{}, usage("--fix goes without --with, --set, --set-document, --date and --reference")
	case f.fix > 0:
		return resolution{}, nil
	case !slices.Contains(knownResolutions, f.with):
		return resolution{}, usage("--with must be %s", strings.Join(knownResolutions, ", "))
	case f.reference != "" && f.with != string(workflows.ResolveSkip):
		return resolution{}, usage("--reference goes with --with skip")
	case corrects && f.with != string(workflows.ResolveRetryWith):
		return resolution{}, usage("--set, --set-document and --date go with --with retry_with")
	case !corrects && f.with == string(workflows.ResolveRetryWith):
		return resolution{}, usage("retry_with needs --set, --set-document or --date: what is to be corrected?")
	}
	body := resolution{Resolution: f.with, Reason: f.reason, Reference: f.reference}
	if !corrects {
		return body, nil
	}
	body.Correction = &correction{Date: f.date}
	var err error
	if body.Correction.Order, err = settings("--set", f.order); err != nil {
		return resolution{}, err
	}
	body.Correction.Document, err = settings("--set-document", f.document)
	return body, err
}

// settings reads PLACE=TEXT and PLACE:=JSON. A place with "=" in it can't be named.
func settings(flag string, given []string) (map[string]any, error) {
	changes := map[string]any{}
	for _, text := range given {
		place, value, found := strings.Cut(text, "=")
		place, isJSON := strings.CutSuffix(place, ":")
		if !found || !strings.HasPrefix(place, "/") {
			return nil, usage("%s must be like /lines/0/sku=A100, or /lines/0/quantity:=2 for JSON", flag)
		}
		if _, twice := changes[place]; twice {
			return nil, usage("%s %s is given twice", flag, place)
		}
		changes[place] = value
		if !isJSON {
			continue
		}
		var parsed any
		decoder := json.NewDecoder(strings.NewReader(value))
		decoder.UseNumber() // an amount stays what was typed
		if err := decoder.Decode(&parsed); err != nil || decoder.More() {
			return nil, usage("%s %s is not followed by JSON", flag, place)
		}
		changes[place] = parsed
	}
	return changes, nil
}

// suggested makes the body of the N-th suggestion of an item.
func suggested(cmd *cobra.Command, c *client, id string, number int, reason string) (resolution, error) {
	a, err := c.attention(cmd.Context(), id)
	if err != nil {
		return resolution{}, err
	}
	fixes := a.value.Fixes
	if number > len(fixes) {
		return resolution{}, refused(fmt.Errorf("there is no suggestion %d: the item has %d", number, len(fixes)))
	}
	chosen := fixes[number-1]
	if chosen.Resolution == "" {
		return resolution{}, refused(fmt.Errorf("suggestion %d is something to do outside: %s", number, chosen.Text))
	}
	body := resolution{Resolution: chosen.Resolution, Reason: reason}
	body.Correction, err = chosen.correction()
	return body, err
}

func (p *Program) attentionRetry() *cobra.Command {
	var what bulk
	cmd := p.remoteCommand(&cobra.Command{
		Use:   "retry [--class CLASS] [--system SYSTEM] [--step STEP] --reason TEXT",
		Short: "Retry many parked items at once, such as all of an outage",
		Long: `Retries the open items that fit, those that wait longest first. Each is resolved by itself: one that can't be retried says why, and
stays as it is. At least one of --class, --system and --step is needed; together they narrow.`,
		Example: `  tenderline attention retry --class connection --system erp-syspro --reason "SYSPRO is back"
  tenderline attention retry --class closed_period --step invoice --reason "December opened" --limit 20`,
		Args: exactly(),
	}, func(cmd *cobra.Command, _ []string, r *remote, c *client) error {
		if what.Class == "" && what.System == "" && what.Step == "" {
			return usage("--class, --system or --step is needed")
		}
		if what.Limit < 1 || what.Limit > 500 {
			return usage("--limit must be between 1 and 500")
		}
		a, err := c.retryAll(cmd.Context(), what)
		if err != nil {
			return err
		}
		err = r.write(cmd.OutOrStdout(), a, func(t *table) {
			t.row("ID", "ORDER", "STEP", "RETRIED", "WHY NOT")
			for _, i := range a.value.Items {
				t.row(i.ID, i.OrderID, i.Step, yesNo(i.Resolved), i.Why)
			}
		})
		if err == nil && r.form != outputJSON {
			_, err = fmt.Fprintf(cmd.ErrOrStderr(), "%d retried, %d refused%s\n", a.value.Resolved, a.value.Refused,
				map[bool]string{true: "; there are more: repeat the command"}[a.value.More])
		}
		return err
	})
	cmd.Flags().StringVar(&what.Class, "class", "", "class of failure, such as connection")
	cmd.Flags().StringVar(&what.System, "system", "", "outside system, such as cybersource or erp-syspro")
	cmd.Flags().StringVar(&what.Step, "step", "", "step, such as invoice")
	cmd.Flags().StringVar(&what.Reason, "reason", "", "why, for the audit")
	cmd.Flags().IntVar(&what.Limit, "limit", 100, "most items to retry, 1 to 500")
	return cmd
}

func (p *Program) inboxCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "inbox",
		Short: "List events from outside that no process took; replay or dismiss them",
	}, p.inboxList(),
		p.inboxResolve("replay", "Deliver an event once more"),
		p.inboxResolve("dismiss", "Dismiss an event: nothing is done for it"))
}

func (p *Program) inboxList() *cobra.Command {
	var list page
	var state, order string
	cmd := p.remoteCommand(&cobra.Command{
		Use: "list", Aliases: []string{"ls"},
		Short: "List events that were given up, the latest first",
		Example: `  tenderline inbox list
  tenderline inbox list --state all --order WEB-10004`,
		Args: exactly(),
	}, func(cmd *cobra.Command, _ []string, r *remote, c *client) error {
		query, err := list.query()
		if err != nil {
			return err
		}
		for name, value := range map[string]string{"state": state, "orderId": order} {
			if value != "" {
				query.Set(name, value)
			}
		}
		a, err := c.inbox(cmd.Context(), query)
		if err != nil {
			return err
		}
		err = r.write(cmd.OutOrStdout(), a, func(t *table) {
			t.row("ID", "ORDER", "EVENT", "STATE", "TRIES", "RECEIVED", "WHY")
			for _, e := range a.value.Events {
				t.row(e.ID, e.OrderID, e.EventType, e.State, strconv.Itoa(e.Tries), instant(e.ReceivedAt), e.Reason)
			}
		})
		return errors.Join(err, r.more(cmd, a.value.Next))
	})
	list.flags(cmd)
	cmd.Flags().StringVar(&state, "state", "", "pending, delivered, ignored, attention or all (default attention)")
	cmd.Flags().StringVar(&order, "order", "", "only events of this order")
	return cmd
}

func (p *Program) inboxResolve(verb, short string) *cobra.Command {
	var reason string
	cmd := p.remoteCommand(&cobra.Command{
		Use:     verb + " EVENT --reason TEXT",
		Short:   short,
		Long:    short + `. Who did it is the name of the API key; of two people the first one wins.`,
		Example: "  tenderline inbox " + verb + ` 9f2c... --reason "the order was taken meanwhile"`,
		Args:    exactly("the id of an event"),
	}, func(cmd *cobra.Command, args []string, r *remote, c *client) error {
		a, err := c.resolveEvent(cmd.Context(), args[0], verb, reason)
		if err != nil {
			return err
		}
		return r.write(cmd.OutOrStdout(), a, func(t *table) { showResolved(t, a.value) })
	})
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the audit")
	return cmd
}
