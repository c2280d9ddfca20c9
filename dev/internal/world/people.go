package world

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
)

// Verdict is a decision on a held order. Mark marks the customer of a reject for the gateway's negative list.
type Verdict struct {
	Decision string `json:"decision"`
	Comment  string `json:"comment,omitempty"`
	Mark     bool   `json:"markCustomer,omitempty"`
}

// Holding is the decision that holds, as a verdict is answered.
type Holding struct {
	Decision   string `json:"decision"`
	Actor      string `json:"actor"`
	Late       bool   `json:"late"`       // another decision had been taken before
	LateReject bool   `json:"lateReject"` // the order is held, and its refund proposed
}

// Judge gives a verdict on a held order and reads the decision that holds.
func (w *World) Judge(ctx context.Context, key, order string, verdict Verdict) (Holding, error) {
	var holding Holding
	err := w.safely(ctx, http.MethodPost, w.API+"/v1/fraud-reviews/"+url.PathEscape(order)+"/decision", key, verdict, &holding, http.StatusOK)
	return holding, err
}

// Case is what an analyst sees of a held order.
type Case struct {
	Review struct {
		State    string `json:"state"`
		Decision string `json:"decision"`
		Actor    string `json:"actor"`
		Source   string `json:"source"`
	} `json:"review"`
	PaymentID string `json:"paymentId"`
	Notes     []struct {
		Note     string `json:"note"`
		Decision string `json:"decision"`
		Actor    string `json:"actor"`
		Rule     string `json:"rule"`
	} `json:"notes"`
}

// Noted tells whether something was noted in the case.
func (c Case) Noted(note string) bool {
	for _, n := range c.Notes {
		if n.Note == note {
			return true
		}
	}
	return false
}

// Case reads the case of a held order as an analyst.
func (w *World) Case(ctx context.Context, order string) (Case, error) {
	var view Case
	err := w.safely(ctx, http.MethodGet, w.API+"/v1/fraud-reviews/"+url.PathEscape(order), Analyst, nil, &view, http.StatusOK)
	return view, err
}

// ParkedItem is what waits for an operator: a step of a process, or an event that no process took.
type ParkedItem struct {
	ID         string   `json:"id"`
	OrderID    string   `json:"orderId"`
	WorkflowID string   `json:"workflowId"`
	Step       string   `json:"step"`
	Class      string   `json:"class"`
	System     string   `json:"system"`
	Summary    string   `json:"summary"`
	Actions    []string `json:"actions"`
	Fixes      []Fix    `json:"fixes"`
}

// Fix is what may mend a parked step, with the correction for retry_with as it is to be sent.
type Fix struct {
	Text       string          `json:"text"`
	Resolution string          `json:"resolution"`
	Correction json.RawMessage `json:"correction"`
}

// Parked are the open parked items of an order.
func (w *World) Parked(ctx context.Context, order string) ([]ParkedItem, error) {
	return w.attention(ctx, "orderId="+url.QueryEscape(order))
}

func (w *World) attention(ctx context.Context, query string) ([]ParkedItem, error) {
	var list struct {
		Items []ParkedItem `json:"items"`
	}
	err := w.safely(ctx, http.MethodGet, w.API+"/v1/attention?state=open&"+query, Operator, nil, &list, http.StatusOK)
	return list.Items, err
}

// ParkedAs are the open parked items of a class.
func (w *World) ParkedAs(ctx context.Context, class string) ([]ParkedItem, error) {
	return w.attention(ctx, "class="+url.QueryEscape(class))
}

// ParkedItem reads a parked item with what may mend it.
func (w *World) ParkedItem(ctx context.Context, id string) (ParkedItem, error) {
	var item ParkedItem
	err := w.safely(ctx, http.MethodGet, w.API+"/v1/attention/"+url.PathEscape(id), Operator, nil, &item, http.StatusOK)
	return item, err
}

// Resolution answers a parked item.
type Resolution struct {
	Resolution string          `json:"resolution"`
	Reason     string          `json:"reason,omitempty"`
	Correction json.RawMessage `json:"correction,omitempty"` // of retry_with
}

// Resolve answers a parked item as an operator; the answer must be taken.
func (w *World) Resolve(ctx context.Context, item, with string) error {
	return w.ResolveBy(ctx, item, Resolution{Resolution: with, Reason: "seen to"})
}

// ResolveBy answers a parked item as an operator; the answer must be taken.
func (w *World) ResolveBy(ctx context.Context, item string, resolution Resolution) error {
	return w.safely(ctx, http.MethodPost, w.API+"/v1/attention/"+url.PathEscape(item)+"/resolve", Operator, resolution, nil, http.StatusOK)
}

// Retried is what a bulk retry came to.
type Retried struct {
	Resolved int `json:"resolved"`
	Refused  int `json:"refused"`
}

// RetryAll retries every parked item of a system, as an operator does after its outage.
func (w *World) RetryAll(ctx context.Context, system string) (Retried, error) {
	var retried Retried
	body := map[string]any{"system": system, "reason": "the outage is over"}
	err := w.want(ctx, http.MethodPost, w.API+"/v1/attention/retry", Operator, body, &retried, http.StatusOK)
	return retried, err
}
