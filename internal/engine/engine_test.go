package engine_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/tenderline/tenderline/internal/engine"
	"github.com/tenderline/tenderline/internal/keyring"
)

// ring holds keys by id, each of one repeated byte; the first seals.
func ring(t testing.TB, ids ...string) *keyring.Ring {
	t.Helper()
	keys := map[string][]byte{}
	for _, id := range ids {
		keys[id] = bytes.Repeat([]byte(id[:1]), keyring.KeySize)
	}
	made, err := keyring.New(ids[0], keys)
	require.NoError(t, err)
	return made
}

func TestPayloadsAreSealedAndOpened(t *testing.T) {
	data := engine.DataConverter(ring(t, "a"))
	rapid.Check(t, func(r *rapid.T) {
		in := rapid.MapOf(rapid.String(), rapid.String()).Draw(r, "value")
		payload, err := data.ToPayload(in)
		require.NoError(r, err)
		require.Equal(r, "binary/encrypted", string(payload.Metadata[converter.MetadataEncoding]))
		require.Equal(r, "a", string(payload.Metadata["encryption-key-id"]))
		var out map[string]string
		require.NoError(r, data.FromPayload(payload, &out))
		require.Len(r, out, len(in))
		for name, value := range in {
			require.Equal(r, value, out[name])
		}
	})
}

func TestKeysRotate(t *testing.T) {
	old, err := engine.DataConverter(ring(t, "old")).ToPayload("secret")
	require.NoError(t, err)
	require.NotContains(t, string(old.Data), "secret")

	var text string
	rotated := engine.DataConverter(ring(t, "new", "old"))
	require.NoError(t, rotated.FromPayload(old, &text))
	require.Equal(t, "secret", text)
	fresh, err := rotated.ToPayload("secret")
	require.NoError(t, err)
	require.Equal(t, "new", string(fresh.Metadata["encryption-key-id"]))

	err = engine.DataConverter(ring(t, "new")).FromPayload(old, &text)
	require.ErrorIs(t, err, keyring.ErrUnknownKey)
}

func TestPayloadsInTheClearAreAccepted(t *testing.T) {
	plain := &commonpb.Payload{Metadata: map[string][]byte{"encoding": []byte("json/plain")}, Data: []byte(`{"decision":"accept"}`)}
	var signal struct{ Decision string }
	require.NoError(t, engine.DataConverter(ring(t, "a")).FromPayload(plain, &signal))
	require.Equal(t, "accept", signal.Decision)
}

func TestCodecNeverSealsTwiceAndNoticesChanges(t *testing.T) {
	codec := engine.Codec(ring(t, "a"))
	sealed, err := codec.Encode([]*commonpb.Payload{{Data: []byte("x")}, nil})
	require.NoError(t, err)
	again, err := codec.Encode(sealed)
	require.NoError(t, err)
	require.True(t, proto.Equal(sealed[0], again[0]))

	changed := proto.Clone(sealed[0]).(*commonpb.Payload)
	changed.Data[len(changed.Data)-1] ^= 1
	_, err = codec.Decode([]*commonpb.Payload{changed})
	require.ErrorIs(t, err, engine.ErrPayload)
	require.ErrorIs(t, err, keyring.ErrTampered)
	_, err = codec.Decode([]*commonpb.Payload{{Metadata: sealed[0].Metadata, Data: []byte("short")}})
	require.ErrorIs(t, err, keyring.ErrMalformed)
}

// A sealed column of the journal under the same key can't be passed off as a payload.
func TestSealedTextsOfOtherPlacesAreNoPayloads(t *testing.T) {
	keys := ring(t, "a")
	column, err := keys.Seal([]byte("x"), []byte("orders\x00input\x00WEB-1"))
	require.NoError(t, err)
	_, err = engine.Codec(keys).Decode([]*commonpb.Payload{{
		Metadata: map[string][]byte{"encoding": []byte("binary/encrypted")}, Data: column,
	}})
	require.ErrorIs(t, err, keyring.ErrTampered)
}

func TestFailuresAreSealed(t *testing.T) {
	failures := engine.FailureConverter(ring(t, "a"))
	failure := failures.ErrorToFailure(temporal.NewNonRetryableApplicationError("customer Ada Park is unknown", "missing_reference", errors.New("cause with Ada")))
	text, err := proto.Marshal(failure)
	require.NoError(t, err)
	require.NotContains(t, string(text), "Ada")
	var back *temporal.ApplicationError
	require.ErrorAs(t, failures.FailureToError(failure), &back)
	require.Equal(t, "missing_reference", back.Type())
	require.Contains(t, back.Message(), "customer Ada Park is unknown")
}

// FuzzDecode gives the codec any bytes that claim to be sealed.
func FuzzDecode(f *testing.F) {
	codec := engine.Codec(ring(f, "a"))
	sealed, err := codec.Encode([]*commonpb.Payload{{Data: []byte("x")}})
	require.NoError(f, err)
	f.Add(sealed[0].Data)
	f.Add([]byte{1, 1, 'a'})
	f.Fuzz(func(t *testing.T, data []byte) {
		opened, err := codec.Decode([]*commonpb.Payload{{Metadata: sealed[0].Metadata, Data: data}})
		if err == nil {
			require.Equal(t, "x", string(opened[0].Data), "only what was sealed opens")
		}
	})
}

// server is a Temporal that knows search attributes.
type server struct {
	client.Client
	have    map[string]enums.IndexedValueType
	unknown int // answers until the cache knows what was added
}

func (s *server) OperatorService() operatorservice.OperatorServiceClient {
	return operatorSide{server: s}
}
func (s *server) WorkflowService() workflowservice.WorkflowServiceClient {
	return workflowSide{server: s}
}

type operatorSide struct {
	operatorservice.OperatorServiceClient
	server *server
}

func (o operatorSide) ListSearchAttributes(context.Context, *operatorservice.ListSearchAttributesRequest, ...grpc.CallOption) (*operatorservice.ListSearchAttributesResponse, error) {
	return &operatorservice.ListSearchAttributesResponse{CustomAttributes: o.server.have}, nil
}

func (o operatorSide) AddSearchAttributes(_ context.Context, r *operatorservice.AddSearchAttributesRequest, _ ...grpc.CallOption) (*operatorservice.AddSearchAttributesResponse, error) {
	for name, kind := range r.SearchAttributes {
		o.server.have[name] = kind
	}
	return &operatorservice.AddSearchAttributesResponse{}, nil
}

type workflowSide struct {
	workflowservice.WorkflowServiceClient
	server *server
}

func (w workflowSide) CountWorkflowExecutions(context.Context, *workflowservice.CountWorkflowExecutionsRequest, ...grpc.CallOption) (*workflowservice.CountWorkflowExecutionsResponse, error) {
	if w.server.unknown > 0 {
		w.server.unknown--
		return nil, errors.New("not a search attribute")
	}
	return &workflowservice.CountWorkflowExecutionsResponse{}, nil
}

func TestSearchAttributes(t *testing.T) {
	want := []temporal.SearchAttributeKey{
		temporal.NewSearchAttributeKeyKeyword("OrderId"), temporal.NewSearchAttributeKeyBool("NeedsAttention"), temporal.NewSearchAttributeKeyKeyword("Erp"),
	}
	s := &server{have: map[string]enums.IndexedValueType{"Erp": enums.INDEXED_VALUE_TYPE_KEYWORD}, unknown: 2}
	err := engine.CheckSearchAttributes(t.Context(), s, "shop", want)
	var notSetUp *engine.NotSetUpError
	require.ErrorAs(t, err, &notSetUp)
	require.Equal(t, []string{"NeedsAttention", "OrderId"}, notSetUp.Missing)
	require.EqualError(t, err, "temporal namespace shop lacks the search attributes NeedsAttention, OrderId; run `tenderline setup`")

	added, err := engine.EnsureSearchAttributes(t.Context(), s, "shop", want)
	require.NoError(t, err)
	require.Equal(t, []string{"NeedsAttention", "OrderId"}, added)
	require.Zero(t, s.unknown, "set-up waits until the server knows them")
	require.NoError(t, engine.CheckSearchAttributes(t.Context(), s, "shop", want))
	added, err = engine.EnsureSearchAttributes(t.Context(), s, "shop", want)
	require.NoError(t, err)
	require.Empty(t, added)

	s.have["OrderId"] = enums.INDEXED_VALUE_TYPE_TEXT
	_, err = engine.EnsureSearchAttributes(t.Context(), s, "shop", want)
	require.ErrorContains(t, err, "OrderId is registered as Text, not Keyword")
}

func TestDialNeedsAKeyRingAndNamesTheServer(t *testing.T) {
	_, err := engine.Dial(t.Context(), engine.Options{})
	require.ErrorContains(t, err, "key ring")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = engine.Dial(ctx, engine.Options{Keyring: ring(t, "a"), Address: "127.0.0.1:1"})
	require.ErrorContains(t, err, "127.0.0.1:1")
}
