package samples

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/tenderline/tenderline/dev/internal/world"
	"github.com/tenderline/tenderline/workflows"
)

// CardNumber is the well-known test number that one sample puts where no card number may be. No sandbox uses it for anything else, so
// that it is to be found nowhere after a run.
const CardNumber = "5105105105105100"

// LegacyCard is the well-known test number that Sage Pro's customers have from the start, as an old version left it. It is nobody's to read or copy.
const LegacyCard = "4111111111111111"

// sentTwice sends an order several times at once, again later, and with another body.
func sentTwice(ctx context.Context, p *Play) error {
	order, err := p.Order(ctx, "approve")
	if err != nil {
		return err
	}
	location, err := p.taken(ctx, order, 5)
	if err != nil {
		return err
	}
	if err := p.Reach(ctx, "confirmed"); err != nil {
		return err
	}
	if again, err := p.taken(ctx, order, 1); err != nil || again != location {
		return errors.Join(err, fmt.Errorf("the same order was answered with %q, then with %q", location, again))
	}
	order["customerPoNumber"] = "another"
	other, err := p.Submit(ctx, order)
	if err != nil {
		return err
	}
	p.line(fmt.Sprintf("another order of this ID: %d", other.Status))
	return problem(other, http.StatusConflict, "urn:tenderline:problem:conflict")
}

// taken sends an order several times at once and gives the location that all answers name.
func (p *Play) taken(ctx context.Context, order map[string]any, copies int) (string, error) {
	p.line(fmt.Sprintf("sent, %d at once", copies))
	locations := make([]string, copies)
	group, groupCtx := errgroup.WithContext(ctx)
	for i := range copies {
		group.Go(func() error {
			answer, err := p.Taken(groupCtx, order)
			locations[i] = answer.Header.Get("Location")
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return "", err
	}
	different := slices.Compact(locations)
	if len(different) != 1 || different[0] == "" {
		return "", fmt.Errorf("the same order was answered with different locations: %q", different)
	}
	return different[0], nil
}

// cardNumber puts a card number into a note: refused, nothing started, not repeated.
func cardNumber(ctx context.Context, p *Play) error {
	order, err := p.Order(ctx, "approve")
	if err != nil {
		return err
	}
	spaced := strings.Join([]string{CardNumber[:4], CardNumber[4:8], CardNumber[8:12], CardNumber[12:]}, " ")
	order["custom"] = map[string]any{"note": "please charge " + spaced}
	answer, err := p.Submit(ctx, order)
	if err != nil {
		return err
	}
	if err := problem(answer, http.StatusUnprocessableEntity, "urn:tenderline:problem:card-data"); err != nil {
		return err
	}
	if bytes.Contains(answer.Body, []byte(spaced)) || bytes.Contains(answer.Body, []byte(CardNumber)) {
		return errors.New("the answer repeats the card number")
	}
	p.refused = true
	return p.nothingStarted(ctx)
}

// nothingStarted looks that neither the API nor Temporal knows the order.
func (p *Play) nothingStarted(ctx context.Context) error {
	answer, err := p.Call(ctx, http.MethodGet, p.API+"/v1/orders/"+p.ID, world.Shop, nil)
	if err != nil {
		return err
	}
	if answer.Status != http.StatusNotFound {
		return fmt.Errorf("the refused order is there: %d", answer.Status)
	}
	started, err := p.temporal.Started(ctx, workflows.OrderWorkflowID(p.ID))
	if err == nil && started {
		err = errors.New("a workflow was started for a refused order")
	}
	return err
}

// problem expects an answer to be a problem document of a type.
func problem(answer world.Answer, status int, kind string) error {
	var document struct {
		Type string `json:"type"`
	}
	if err := answer.Decode(&document); err != nil || answer.Status != status || document.Type != kind {
		return fmt.Errorf("answered %d %s, expected %d %s", answer.Status, document.Type, status, kind)
	}
	return nil
}
