package e2e

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tenderline/tenderline/dev/internal/stack"
	"github.com/tenderline/tenderline/dev/internal/world"
	"github.com/tenderline/tenderline/internal/config"
)

// secondOperator is the key of a colleague.
const secondOperator = "dev-operator-2"

// TestTwoOperatorsAtOnce: of two answers to one parked step the first one wins, and the other person is told.
func TestTwoOperatorsAtOnce(t *testing.T) {
	t.Parallel()
	r := start(t, stack.Options{Env: map[string]string{"TENDERLINE_API_KEYS": keysOf(
		world.Shop, "shop", world.Analyst, "analyst", world.Operator, "operator+analyst", secondOperator, "operator",
	)}})
	for range 5 {
		id := r.id()
		r.submit(t, r.order(t, id, buy{sku: "FAILINV"}))
		item := r.parkedAt(t, id, "invoice")
		var answers [2]world.Answer
		var hands sync.WaitGroup
		for i, who := range []struct{ key, resolution string }{{world.Operator, "compensate"}, {secondOperator, "retry"}} {
			hands.Go(func() {
				answer, err := r.Repeat(t.Context(), func(ctx context.Context) (world.Answer, error) {
					return r.Call(ctx, http.MethodPost, r.API+"/v1/attention/"+item.ID+"/resolve", who.key, world.Resolution{Resolution: who.resolution, Reason: "at once"})
				})
				if err == nil {
					answers[i] = answer
				}
			})
		}
		hands.Wait()
		statuses := []int{answers[0].Status, answers[1].Status}
		require.ElementsMatch(t, []int{http.StatusOK, http.StatusConflict}, statuses, "%s\n%s", answers[0].Body, answers[1].Body)
		loser := answers[0]
		if loser.Status == http.StatusOK {
			loser = answers[1]
		}
		require.Contains(t, string(loser.Body), "resolved")
		if answers[0].Status != http.StatusOK { // the retry was refused by the ERP once more
			require.Eventually(t, func() bool {
				again, err := r.Parked(t.Context(), id)
				return err == nil && len(again) == 1 && again[0].ID != item.ID && r.Resolve(t.Context(), again[0].ID, "compensate") == nil
			}, patience, 50*time.Millisecond)
		}
		r.ended(t, id, "compensated")
	}
}

// keysOf are API keys with their roles.
func keysOf(pairs ...string) string {
	text := ""
	for i := 0; i < len(pairs); i += 2 {
		if text != "" {
			text += ","
		}
		text += pairs[i] + "|" + pairs[i+1] + "|*|" + config.HashKey(pairs[i])
	}
	return text
}

// TestWhatWaitsSurvivesARestart stops everything while a review, a parked order, a parked refund and an event that was given up wait for
// people, and starts it again on its state: each goes on.
func TestWhatWaitsSurvivesARestart(t *testing.T) {
	t.Parallel()
	options := stack.Options{Dir: t.TempDir(), Env: map[string]string{"TENDERLINE_SWEEP_INBOX_TRIES": "1"}}
	r := start(t, options)
	review, order := r.id(), r.id()
	r.submit(t, r.order(t, review, buy{scenario: "review"}))
	r.inReview(t, review)
	r.submit(t, r.order(t, order, buy{sku: "FAILINV"}))
	r.parkedAt(t, order, "invoice")

	refunded := r.confirmed(t, giveBacks[0])
	require.NoError(t, r.Periods(t.Context(), map[string]any{"Module": "AR", "Open": []string{}}))
	giveBacks[0].ask(t, r, refunded)
	memo := r.parkedAt(t, refunded, "credit-memo")
	require.Equal(t, "closed_period", memo.Class)

	require.NoError(t, r.Announce(t.Context(), "risk.casemanagement.decision.accept", "7000000000000000000009", "NOBODY-1", "ACCEPT"))
	event := r.parkedAt(t, "NOBODY-1", "inbox")
	require.NoError(t, r.stack.Stop())

	r = start(t, options)
	require.NoError(t, r.OpenPeriods(t.Context()))
	require.NoError(t, r.Resolve(t.Context(), memo.ID, "retry"))
	require.NoError(t, r.Resolve(t.Context(), event.ID, "skip"))
	require.NoError(t, r.Resolve(t.Context(), r.parkedAt(t, order, "invoice").ID, "compensate"))
	r.decide(t, review, "accept")
	r.ended(t, review, "confirmed")
	r.ended(t, order, "compensated")
	r.returned(t, refunded, giveBacks[0])
	left, err := r.Parked(t.Context(), "NOBODY-1")
	require.NoError(t, err)
	require.Empty(t, left)
}
