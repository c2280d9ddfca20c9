package syspro

import (
	"context"
	"encoding/json"

	"github.com/tenderline/tenderline/internal/erp"
	"github.com/tenderline/tenderline/internal/fault"
)

// create sends a document under its key. exists is true where the facade holds one with the same natural key: then nothing was made, and
// the caller compares and adopts.
func (c *Client) create(ctx context.Context, path, key string, body []byte, into wireAnswer) (exists bool, err error) {
	err = c.post(ctx, path, key, body, into)
	if f := fault.As(err); f != nil && f.Code == codeDuplicate && f.HTTPStatus == 409 {
		return true, nil
	}
	return false, err
}

// read takes out of a mapped document what its answer is compared with. The document itself is sent as it is.
func (c *Client) read(doc erp.Document, into any) error {
	if len(doc.Body) == 0 || json.Unmarshal(doc.Body, into) != nil {
		return c.refuse(fault.Value, "MALFORMED_DOCUMENT", "the document is no JSON object of the facade's shape, nothing was sent")
	}
	return nil
}

// write builds the body of a call that has no mapping.
func (c *Client) write(body any) ([]byte, error) {
	written, err := json.Marshal(body)
	if err != nil {
		return nil, c.bug("the request can't be written")
	}
	return written, nil
}

// unseen says that a duplicate was reported which the look-up does not show (yet). Trying again is safe: the key is the same.
func (c *Client) unseen(err error) error {
	if !fault.Is(err, fault.NotFound) {
		return err
	}
	f := c.refuse(fault.Busy, codeDuplicate, "the ERP reports a duplicate that its look-up does not show yet")
	f.RetryAfter = listHoldBack
	return f
}

// different refuses to adopt what merely has the same name.
func (c *Client) different(what string) error {
	return c.refuse(fault.Conflict, codeDuplicate, what)
}

// mismatched says that a success named another document than the one that was sent. What came of ours is to be looked up.
func (c *Client) mismatched(path string) error {
	return c.refuse(fault.UnknownOutcome, "ANSWER_MISMATCH", "the ERP's answer at "+path+" is about another document")
}

// missing turns a look-up that found nothing into the refusal of the mutation that needed it.
func missing(err error) error {
	if f := fault.As(err); f != nil && f.Kind == fault.NotFound {
		refused := *f
		refused.Kind = fault.MissingReference
		return &refused
	}
	return err
}
