-- With what an app's repository is read: a token over https, a key over ssh. Null where
-- there is none; a preview has its app's.
ALTER TABLE app ADD COLUMN git_token_sealed BLOB;
ALTER TABLE app ADD COLUMN deploy_key_sealed BLOB;
ALTER TABLE app ADD COLUMN deploy_key_public TEXT;
