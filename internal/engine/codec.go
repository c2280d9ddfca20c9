package engine

import (
	"errors"
	"fmt"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/proto"

	"github.com/tenderline/tenderline/internal/keyring"
)

const (
	// encodingEncrypted marks a sealed payload; the name is the one that Temporal's own samples use.
	encodingEncrypted = "binary/encrypted"
	// metadataKeyID names the key, so that an operator sees which keys are still needed.
	metadataKeyID = "encryption-key-id"
)

// payloadPlace binds a sealed text to its use: a sealed column of the journal can't be passed off as a payload. A payload travels
// between workflows, so that it can't be bound to one.
var payloadPlace = []byte("temporal-payload")

// Codec seals payloads with AES-256-GCM under the ring's primary key and opens them under any of its keys. A payload in the clear,
// such as a signal that was typed into the Temporal UI, passes through when it is decoded.
func Codec(ring *keyring.Ring) converter.PayloadCodec { return codec{ring} }

type codec struct{ ring *keyring.Ring }

// Encode seals each payload, its own encoding included; one that is sealed already stays as it is.
func (c codec) Encode(payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
	sealed := make([]*commonpb.Payload, len(payloads))
	for i, payload := range payloads {
		if encrypted(payload) {
			sealed[i] = payload
			continue
		}
		text, err := proto.Marshal(payload)
		if err != nil {
			return nil, fmt.Errorf("encode payload: %w", err)
		}
		data, err := c.ring.Seal(text, payloadPlace)
		if err != nil {
			return nil, fmt.Errorf("seal payload: %w", err)
		}
		sealed[i] = &commonpb.Payload{
			Metadata: map[string][]byte{
				converter.MetadataEncoding: []byte(encodingEncrypted),
				metadataKeyID:              []byte(c.ring.PrimaryID()),
			},
			Data: data,
		}
	}
	return sealed, nil
}

// ErrPayload says that a payload could not be opened; the message tells nothing of its content.
var ErrPayload = errors.New("payload can't be opened")

// Decode opens each sealed payload.
func (c codec) Decode(payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
	opened := make([]*commonpb.Payload, len(payloads))
	for i, payload := range payloads {
		if !encrypted(payload) {
			opened[i] = payload
			continue
		}
		text, err := c.ring.Open(payload.GetData(), payloadPlace)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrPayload, err)
		}
		opened[i] = &commonpb.Payload{}
		if err := proto.Unmarshal(text, opened[i]); err != nil {
			return nil, fmt.Errorf("%w: not a payload inside", ErrPayload)
		}
	}
	return opened, nil
}

func encrypted(payload *commonpb.Payload) bool {
	return string(payload.GetMetadata()[converter.MetadataEncoding]) == encodingEncrypted
}
