package wiring

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"

	"github.com/tenderline/tenderline/internal/config"
	"github.com/tenderline/tenderline/internal/cybersource"
	"github.com/tenderline/tenderline/internal/engine"
	"github.com/tenderline/tenderline/webhook"
)

// API is the HTTP API with its sweeper.
func (a *App) API(ctx context.Context) (*webhook.Server, error) {
	if err := a.Config.Check(config.UseJournal, config.UseAPI); err != nil {
		return nil, err
	}
	door, err := a.Starter(ctx)
	if err != nil {
		return nil, err
	}
	if err := a.Ready(ctx); err != nil {
		return nil, err
	}
	keys, err := a.Config.Cybersource.WebhookKeySet()
	if err != nil {
		return nil, err
	}
	private, err := privateKeys(a.Config.Cybersource.MLEPrivateKeyFile)
	if err != nil {
		return nil, err
	}
	return webhook.New(webhook.Deps{
		Starter: door, Store: a.store, Keys: a.Config.API.Keys, HTTP: a.Config.HTTP, Listen: a.Config.Metrics, CodecUse: a.Config.Codec,
		Codec: engine.Codec(a.ring), Verifier: cybersource.Verifier{Keys: keys, MaxAge: a.Config.Cybersource.WebhookMaxAge}, MLEKeys: private,
		Checks:  []webhook.Check{{Name: "journal", Do: a.store.Check}, {Name: "temporal", Do: a.Ready}},
		Metrics: a.Metrics, Traces: a.traces, Logger: a.Log,
	})
}

// privateKeys reads the key that opens encrypted webhooks: PEM, PKCS #8 or PKCS #1.
func privateKeys(path string) ([]*rsa.PrivateKey, error) {
	if path == "" {
		return nil, nil
	}
	const variable = "TENDERLINE_CYBERSOURCE_MLE_PRIVATE_KEY_FILE"
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", variable, err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s: the file holds no PEM block", variable)
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return []*rsa.PrivateKey{key}, nil
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New(variable + ": the key is neither PKCS #8 nor PKCS #1")
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return nil, errors.New(variable + ": the key is not an RSA key")
	}
	return []*rsa.PrivateKey{key}, nil
}
