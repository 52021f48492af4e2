"""The catalogue of mistakes people make when porting, a file a kind; each is planted in the working port."""
