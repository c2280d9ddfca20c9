package cybersource

import (
	"bytes"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Event is a webhook delivery in our words. It is a hint: the truth is read from the gateway.
type Event struct {
	Type           string    `json:"type"` // "risk.casemanagement.decision.accept"
	OrganizationID string    `json:"organizationId,omitempty"`
	ProductID      string    `json:"productId,omitempty"`
	WebhookID      string    `json:"webhookId,omitempty"`
	ResourceID     string    `json:"resourceId,omitempty"` // id of the transaction or token it is about
	Reference      string    `json:"reference,omitempty"`  // merchant reference
	Status         string    `json:"status,omitempty"`
	Comments       []string  `json:"comments,omitempty"`  // a reviewer's notes
	CaptureID      string    `json:"captureId,omitempty"` // where the reviewer captured
	ReversalID     string    `json:"reversalId,omitempty"`
	Test           bool      `json:"test,omitempty"` // the gateway's test delivery: no business in it
	At             time.Time `json:"at,omitzero"`    // eventDate, taken as UTC where it names no zone
	Fingerprint    string    `json:"fingerprint"`    // of the payload; stands for the resource where an event names none
}

// Key is the same for every delivery of one event: type, resource and status. The gateway's trace id is new for each attempt and no
// part of it.
func (e Event) Key() string {
	resource := firstOf(e.ResourceID, e.Reference, e.Fingerprint)
	return e.Type + "|" + resource + "|" + e.Status
}

// ErrEncrypted says that the delivery is encrypted and no key opens it.
var ErrEncrypted = errors.New("webhook is encrypted and no configured key opens it")

var errNoEvent = errors.New("webhook is not an event")

// ParseEvent reads a delivery whose signature was verified. Encrypted deliveries, whole or in their payload, are opened with one of the
// private keys whose public half the gateway has. Shapes differ between products and versions, so that it takes what it finds.
func ParseEvent(body []byte, keys ...*rsa.PrivateKey) (Event, error) {
	opened, err := openIfEncrypted(body, keys)
	if err != nil {
		return Event{}, err
	}
	var envelope eventEnvelope
	if !isObject(opened) || json.Unmarshal(opened, &envelope) != nil {
		return Event{}, errNoEvent
	}
	event := Event{
		Type:           string(envelope.Type),
		OrganizationID: string(envelope.OrganizationID),
		ProductID:      string(envelope.ProductID),
		WebhookID:      string(envelope.WebhookID),
		At:             instant(string(envelope.Date)),
		Test:           isObject(envelope.Payloads["testPayload"]),
	}
	if event.Type == "" && !event.Test {
		return Event{}, errNoEvent
	}
	payload := envelope.Payload
	if payload, err = openIfEncrypted(payload, keys); err != nil {
		return Event{}, err
	}
	event.read(payload)
	return event, nil
}

// eventEnvelope is the outside of a delivery. Payload is kept as it is: its shape depends on the product.
type eventEnvelope struct {
	Type           text            `json:"eventType"`
	OrganizationID text            `json:"organizationId"`
	ProductID      text            `json:"productId"`
	WebhookID      text            `json:"webhookId"`
	Date           text            `json:"eventDate"`
	Payload        json.RawMessage `json:"payload"`
	Payloads       payloads        `json:"payloads"`
}

// payloads holds the test delivery's message; another shape counts as absent.
type payloads map[string]json.RawMessage

func (p *payloads) UnmarshalJSON(data []byte) error {
	var values map[string]json.RawMessage
	if json.Unmarshal(data, &values) == nil {
		*p = values
	}
	return nil
}

// eventData is what the known payloads have in common.
type eventData struct {
	ID              text                       `json:"id"`
	TransactionID   text                       `json:"transactionId"`
	RequestID       text                       `json:"requestId"`
	ReferenceNumber text                       `json:"referenceNumber"`
	Reference       part[referenceInformation] `json:"clientReferenceInformation"`
	Status          text                       `json:"status"`
	Notes           list[struct {
		Comment text `json:"comment"`
	}] `json:"notes"`
	Embedded part[embeddedActions] `json:"_embedded"`
}

func (e *Event) read(payload json.RawMessage) {
	data := eventDataOf(payload)
	e.ResourceID = firstOf(string(data.ID), string(data.TransactionID), string(data.RequestID))
	e.Reference = firstOf(string(data.ReferenceNumber), string(data.Reference.value.Code))
	e.Status = upper(data.Status)
	e.CaptureID = data.Embedded.value.Capture.value.id()
	e.ReversalID = data.Embedded.value.Reversal.value.id()
	for _, note := range data.Notes {
		if note.Comment != "" {
			e.Comments = append(e.Comments, sentence(string(note.Comment)))
		}
	}
	sum := sha256.Sum256(payload)
	e.Fingerprint = hex.EncodeToString(sum[:16])
}

// eventDataOf finds the data within payload.data, payload[0].data, payload.transactionResult.details, or the payload itself.
func eventDataOf(payload json.RawMessage) eventData {
	var outer struct {
		Data              json.RawMessage `json:"data"`
		TransactionResult part[struct {
			Details json.RawMessage `json:"details"`
		}] `json:"transactionResult"`
	}
	first := items(payload)
	if len(first) == 0 || !isObject(first[0]) || json.Unmarshal(first[0], &outer) != nil {
		return eventData{}
	}
	inner := first[0]
	switch {
	case len(items(outer.Data)) > 0 && isObject(items(outer.Data)[0]):
		inner = items(outer.Data)[0]
	case isObject(outer.TransactionResult.value.Details):
		inner = outer.TransactionResult.value.Details
	}
	var data eventData
	_ = json.Unmarshal(inner, &data) // its fields read any shape; what can't be read is absent
	return data
}

// openIfEncrypted gives the plain text of a JWE: compact, as a JSON string, or under encData or encryptedRequest. Anything else
// comes back as it is.
func openIfEncrypted(content []byte, keys []*rsa.PrivateKey) ([]byte, error) {
	sealed := sealedIn(bytes.TrimSpace(content))
	if sealed == "" {
		return content, nil
	}
	object, err := jose.ParseEncryptedCompact(sealed,
		[]jose.KeyAlgorithm{jose.RSA_OAEP_256}, []jose.ContentEncryption{jose.A256GCM})
	if err != nil {
		return nil, fmt.Errorf("open webhook: %w", errNoEvent)
	}
	for _, key := range keys {
		if key == nil {
			continue
		}
		if plain, err := object.Decrypt(key); err == nil {
			return plain, nil
		}
	}
	return nil, ErrEncrypted
}

func sealedIn(content []byte) string {
	if len(content) == 0 {
		return ""
	}
	candidate := string(content)
	switch content[0] {
	case '{':
		var sealed struct {
			EncData          text `json:"encData"`
			EncryptedRequest text `json:"encryptedRequest"`
		}
		if json.Unmarshal(content, &sealed) != nil {
			return ""
		}
		candidate = firstOf(string(sealed.EncData), string(sealed.EncryptedRequest))
	case '"':
		if json.Unmarshal(content, &candidate) != nil {
			return ""
		}
	}
	if strings.Count(candidate, ".") != 4 {
		return ""
	}
	return candidate
}
